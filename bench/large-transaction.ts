/** `npm run bench -- large-transaction`: memory has to stay flat however large a source transaction is. */
import { buildHeadwater, headwater, type Delivery } from './headwater.ts';
import { openLab } from './lab.ts';
import type { Product } from './source.ts';
import { measureCatchUp } from './throughput.ts';

const LIMIT_MB = 256;

/** Returns whether every row came, and within the limit. */
export async function benchLargeTransaction(
  {
    product,
    rows,
    delivery,
  }: { readonly product: Product; readonly rows: number; readonly delivery: Delivery },
  signal: AbortSignal,
): Promise<boolean> {
  await buildHeadwater();
  await using lab = await openLab({ product, partitions: 3, identity: 'default' });
  await lab.source.createOrders(1000);
  const contender = headwater(delivery);
  const spec = await lab.newRun(contender, { snapshot: false });
  try {
    const before = await lab.prepare(contender, spec, signal);
    const prepared = { contender, spec, before, singles: lab.singles() };
    console.error(`Writing one transaction of ${rows} rows`);
    await lab.source.insertMany({ after: 1000, rows });
    const run = await measureCatchUp(lab, prepared, { counts: { events: rows, records: rows }, signal });
    const whole = run.contents.events === rows && run.contents.byOp['c'] === rows;
    const flat = run.peakRssMb <= LIMIT_MB;
    console.log(
      `${contender.name}, one transaction of ${rows} rows: ${run.seconds.toFixed(1)} s, ` +
        `${run.cpuSeconds.toFixed(1)} CPU s, peak ${Math.round(run.peakRssMb)} MB ` +
        `(${flat ? 'within' : 'ABOVE'} ${LIMIT_MB} MB), ${whole ? 'each row once' : 'NOT each row once'}`,
    );
    return whole && flat;
  } finally {
    await lab.removeRun(spec);
  }
}
