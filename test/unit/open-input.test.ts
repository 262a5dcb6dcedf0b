import { expect, it } from 'vitest';
import type { TopicReader } from '../../src/emitter/topic-reader.ts';
import { declareEnrichment, withMade } from '../../src/enrichment/plan/declared.ts';
import type { TopicSource } from '../../src/enrichment/sources/topic-source.ts';
import { openInput } from '../../src/enrichment/topics/open-input.ts';
import { HeadwaterError } from '../../src/errors/headwater-error.ts';
import { checkedStatements } from '../support/checked-program.ts';

const MISSING = new HeadwaterError('delivery.topic-missing', 'Topic t does not exist.', { fix: 'Make it.' });
const source = (kind: string, name: string): string =>
  `CREATE ${kind} (k STRING ${kind.startsWith('TABLE') ? 'PRIMARY ' : ''}KEY, n INT) WITH (KAFKA_TOPIC = '${name}', VALUE_FORMAT = 'JSON')`;

it('a topic that is missing is told with the statement that names it', async () => {
  const settings = declareEnrichment(
    { texts: [{ name: 'shop.sql', text: `${source('STREAM s', 'in-file')};` }], dialect: 'friendly' },
    'shop',
  );
  const made = [{ number: 4, sql: source('TABLE t', 'of-client'), terminated: false, fromLatest: false }];
  const program = checkedStatements(withMade(settings, { made, fresh: new Map() }, 'shop'));
  const reader = { open: () => Promise.reject(MISSING) } as unknown as TopicReader;
  const declared = (name: string): TopicSource => {
    const topic = program.catalog.get(name)?.topic;
    if (topic == null) throw new Error(`${name} was not compiled.`);
    return topic;
  };
  await expect(openInput(reader, declared('S'))).rejects.toMatchObject({
    code: MISSING.code,
    fix: MISSING.fix,
    message: 'The topic in-file of the stream S (in shop.sql) does not exist.',
  });
  await expect(openInput(reader, declared('T'))).rejects.toMatchObject({
    message: "The topic of-client of the table T (a client's statement 4) does not exist.",
  });
});
