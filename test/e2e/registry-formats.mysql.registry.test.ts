/** MySQL's types in the formats of a registry, which is spoken to over TLS. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeCertificates } from '../../src/local-servers/certificates.ts';
import { registeredRecords } from '../support/registered-records.ts';
import { type Certificates, testMysql, testRegistry } from '../support/servers.ts';
import { startTlsProxy } from '../support/tls-proxy.ts';
import { headwater, runToEnd, type Workspace, workspace } from './headwater.ts';
import { writeRegistryPipeline } from './registry-pipeline.ts';

let work: Workspace;
let certificates: Certificates;

beforeAll(async () => {
  work = await workspace();
  certificates = await makeCertificates(work.dir);
});
afterAll(() => work?.[Symbol.asyncDispose]());

const CREATE = `CREATE TABLE t (
  id BIGINT UNSIGNED PRIMARY KEY, tiny TINYINT UNSIGNED NOT NULL DEFAULT 200, price DECIMAL(12,3) NOT NULL, f DOUBLE,
  name VARCHAR(40) CHARACTER SET latin1, e ENUM('a','b,c') NOT NULL DEFAULT 'a', s SET('x','y'), made DATETIME(6),
  seen TIMESTAMP(3) NULL, day DATE, at TIME(6), y YEAR, doc JSON, raw VARBINARY(8), bits BIT(12), g POINT)`;
const ROW = `(9007199254740991, 255, -12.345, 1.5, 'naïve', 'b,c', 'x,y', '2024-05-06 07:08:09.123456', '2024-05-06 07:08:09.123',
  '2024-05-06', '-01:02:03.000004', 2024, '{"a": [1, null]}', X'00FF', b'101', ST_GeomFromText('POINT(1 2)'))`;

/** What each format gives of that row, beside what it has of its own. */
const SHOWN = {
  id: 9_007_199_254_740_991,
  tiny: 255,
  f: 1.5,
  name: 'naïve',
  e: 'b,c',
  s: 'x,y',
  made: 1_714_979_289_123_456,
  seen: '2024-05-06T07:08:09.123Z',
  day: 19_849,
  at: -3_723_000_004,
  y: 2024,
};

describe.each(['avro', 'protobuf', 'json-schema'] as const)('%s', (format) => {
  test('rows of every kind of column are readable with the schemas in the registry', async () => {
    await using db = await testMysql('9');
    const registry = await testRegistry();
    await using proxy = await startTlsProxy(registry.url, certificates);
    await db.query(`${CREATE}; INSERT INTO t VALUES ${ROW}`);
    const name = registry.prefix;
    const { ca, clientCert, clientKey } = certificates;
    const file = await writeRegistryPipeline(work, {
      registry,
      url: db.url,
      tables: [`${db.name}.t`],
      format,
      registryUrl: proxy.url,
      settings: [`tls: { ca: ${ca}, cert: ${clientCert}, key: ${clientKey} }`],
      source: ['tls: { mode: disable }'],
      out: format,
    });
    expect(await runToEnd(file)).toMatchObject({ exit: 0 });
    await db.query(`UPDATE t SET name = NULL, e = 'a'; ALTER TABLE t ADD COLUMN extra INT DEFAULT 5 AFTER id;
      INSERT INTO t (id, price) VALUES (2, 0.001); DELETE FROM t WHERE id = 2`);
    expect(await runToEnd(file)).toMatchObject({ exit: 0 });

    const records = await registeredRecords(work.path(format), registry);
    const values = records.filter(({ topic }) => topic.endsWith('.t')).map(({ value }) => value);
    expect(values.map((value) => value?.['op'])).toEqual(['r', 'u', 'c', 'd', undefined]);
    expect(values[0]!['after']).toMatchObject(SHOWN);
    expect(values[1]).toMatchObject({ before: SHOWN, after: { ...without('name', SHOWN), e: 'a' } });
    expect(values[2]!['after']).toMatchObject({ id: 2, extra: 5, tiny: 200, e: 'a' });
    expect(values[3]!['before']).toMatchObject({ id: 2, extra: 5 });
    // The column in the middle made a second version, and no more.
    expect(await registry.ask(`/subjects/${name}.${db.name}.t-value/versions`)).toEqual([1, 2]);
  });
});

function without(name: string, row: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(row).filter(([each]) => each !== name));
}

test('a certificate of nobody that is trusted is told as such, before anything is delivered', async () => {
  await using db = await testMysql('9');
  const registry = await testRegistry();
  await using proxy = await startTlsProxy(registry.url, certificates);
  await db.query('CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (1)');
  const file = await writeRegistryPipeline(work, {
    registry,
    url: db.url,
    tables: [`${db.name}.t`],
    registryUrl: proxy.url,
    source: ['tls: { mode: disable }'],
    out: 'untrusted',
  });
  const doctor = await headwater(['doctor', file]);
  expect(doctor.exit).not.toBe(0);
  expect(doctor.stdout + doctor.stderr).toMatch(/certificate/i);
});
