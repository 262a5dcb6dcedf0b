// Puts what Kafka topics hold into indexes of Elasticsearch, one index a topic:
//   node index-topics.mjs KAFKA ELASTICSEARCH TOPIC...
//
// A record's place in its topic, or its key where the topic is compacted (KEYED=1), is the document's id: what comes
// twice after a crash is the same document again, and a record without value deletes the one of its key.
import { Kafka } from 'kafkajs';

const [kafka, elasticsearch, ...topics] = process.argv.slice(2);
const keyed = process.env.KEYED === '1';

const consumer = new Kafka({ brokers: [kafka] }).consumer({
  groupId: `index-${topics.join('-')}`,
  readUncommitted: false, // only what was committed
});
await consumer.connect();
await consumer.subscribe({ topics, fromBeginning: true });
await consumer.run({
  eachBatch: async ({ batch }) => {
    const lines = batch.messages.flatMap(({ key, value, offset, timestamp }) => {
      const id = keyed ? key.toString('base64url') : `${batch.partition}-${offset}`;
      const target = { _index: batch.topic, _id: id };
      if (value === null) return keyed ? [{ delete: target }] : [];
      return [{ index: target }, { ...JSON.parse(value), '@timestamp': new Date(Number(timestamp)) }];
    });
    if (lines.length === 0) return;
    const response = await fetch(`${elasticsearch}/_bulk`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-ndjson' },
      body: lines.map((line) => `${JSON.stringify(line)}\n`).join(''),
    });
    // Anything but success: the batch is read again. A delete of what is not there is none.
    const { items } = await response.json();
    const failed = items?.find(({ index }) => index !== undefined && index.status >= 300);
    if (!response.ok || failed) throw new Error(`${response.status} ${JSON.stringify(failed?.index.error)}`);
  },
});
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => void consumer.disconnect());
