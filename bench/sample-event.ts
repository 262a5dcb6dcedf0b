/** Change events of `orders` as Debezium writes them in JSON, about 850 bytes, without the work of making them. */
export function sampleEvents(count: number): { readonly key: string; readonly value: string }[] {
  const notes = ['leave at the door', 'call before delivery', 'gift wrapping, no invoice in the box'];
  return Array.from({ length: count }, (_, i) => {
    const id = 1 + ((i * 7919) % 1_000_000);
    const lsn = 3_000_000_000 + i * 170;
    const row = (status: string, amount: string, updated: string): string =>
      `{"id":${id},"customer_id":${(id * 31) % 100_000},"status":"${status}","amount":"${amount}",` +
      `"note":"${notes[i % 3]}","created_at":"2024-03-01T10:00:00.${String(100_000 + (i % 900_000))}Z","updated_at":"${updated}"}`;
    const value =
      `{"before":${row('paid', 'AYag', '2024-03-02T10:00:00.000001Z')},` +
      `"after":${row('shipped', 'B5kq', '2026-11-21T08:00:00.123456Z')},` +
      `"source":{"version":"3.2.0.Final","connector":"postgresql","name":"shop","ts_ms":1795250477401,` +
      `"snapshot":"false","db":"shop","sequence":"[\\"${lsn - 300}\\",\\"${lsn}\\"]","ts_us":1795250477401123,` +
      `"ts_ns":1795250477401123000,"schema":"public","table":"orders","txId":${700 + Math.floor(i / 100)},` +
      `"lsn":${lsn},"xmin":null},"transaction":null,"op":"u","ts_ms":1795250477500,"ts_us":1795250477500321,` +
      `"ts_ns":1795250477500321000}`;
    return { key: `{"id":${id}}`, value };
  });
}
