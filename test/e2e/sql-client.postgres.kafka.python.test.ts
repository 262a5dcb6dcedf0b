/** ksqlDB's client for Python (PyPI ksqldb): each of its methods, as its page shows them. */
import { expect, it } from 'vitest';
import { runPython } from '../support/ksqldb-python.ts';
import { testDatabase, testKafka } from '../support/servers.ts';
import { TopicClient } from '../support/topic-client.ts';
import { Headwater, pipelineFile, workspace } from './headwater.ts';

const PROGRAM = `
import asyncio, json, sys
from ksqldb import KSQLdbClient
url, topic = sys.argv[1:]
client = KSQLdbClient(url)
def show(value): print(json.dumps(value))

made = client.ksql(f"""CREATE STREAM moves (id BIGINT, person STRING, place STRING)
  WITH (KAFKA_TOPIC = '{topic}', VALUE_FORMAT = 'JSON');
  CREATE TABLE visits WITH (KAFKA_TOPIC = '{topic}-visits') AS
    SELECT person, COUNT(*) AS visits FROM moves GROUP BY person;""")
show([each["commandStatus"]["status"] for each in made])
show([each["name"] for each in client.ksql("show tables;")[0]["tables"]])
show([each["name"] for each in client.get_properties()])
show([each["name"] for each in client.ksql("describe moves extended;")[0]["sourceDescription"]["fields"]])
rows = [{"id": 2 ** 60 + i, "person": "robin", "place": place} for i, place in enumerate(["Leeds", "London", "York"])]
show(client.inserts_stream("moves", rows))

async def follow():
    seen = []
    query = "select id, place from moves emit changes;"
    properties = {"ksql.streams.auto.offset.reset": "earliest"}
    async for piece in client.query_async(query, stream_properties=properties, timeout=None):
        seen.append(piece)
        if len(seen) == 1 + len(rows):
            show(client.close_query(seen[0]["queryId"]))
    return seen
seen = asyncio.run(follow())
show([seen[0]["columnNames"], sorted(seen[1:])])
show(client.close_query("nothing"))

while True:
    found = client.query_sync("select * from visits where person = 'robin';")[1:]
    if found and found[0][1] == len(rows): break
show(found)
query = made[1]["commandStatus"]["queryId"]
show([each["commandStatus"]["message"] for each in client.ksql(f"TERMINATE {query}; DROP TABLE visits; DROP STREAM moves;")])
`;

it('asks, inserts, follows and changes what runs', async () => {
  await using files = await workspace();
  await using database = await testDatabase();
  const { brokers, prefix } = await testKafka();
  const topic = `${prefix}moves`;
  await using topics = await TopicClient.connect(brokers);
  await topics.createTopics([topic], 1);
  await database.query('CREATE TABLE people (id text PRIMARY KEY)');
  const { name, url } = database;
  const settings = pipelineFile({
    name,
    url,
    tables: ['public.people'],
    brokers,
    source: [`postgres: { slot: ${name}, publication: pub }`],
    more: [`state: { dir: ${JSON.stringify(files.path('state'))} }`, 'enrich: {}'],
  });
  const http = 'http: { listen: "127.0.0.1:0", sql: "127.0.0.1:0", sql_changes: open }';
  await using daemon = new Headwater([
    'run',
    await files.write('python.yaml', settings.replace(/^http: .*$/m, http)),
  ]);
  const { host, port } = await daemon.line(({ msg }) => msg === 'SQL interface is up');
  await daemon.until(({ state }) => state === 'streaming');
  const printed = await runPython(PROGRAM, `http://${String(host)}:${String(port)}`, topic);
  const first = 2n ** 60n;
  expect(printed.trimEnd().split('\n')).toEqual([
    '["SUCCESS", "SUCCESS"]',
    '["VISITS"]',
    '["auto.offset.reset", "ksql.query.pull.table.scan.enabled"]',
    '["ID", "PERSON", "PLACE"]',
    '[{"status": "ok", "seq": 0}, {"status": "ok", "seq": 1}, {"status": "ok", "seq": 2}]',
    'true',
    `[["ID", "PLACE"], [[${first}, "Leeds"], [${first + 1n}, "London"], [${first + 2n}, "York"]]]`,
    'false',
    '[["robin", 3]]',
    JSON.stringify([
      'Query terminated.',
      `Source \`VISITS\` (topic: ${topic}-visits) was dropped.`,
      `Source \`MOVES\` (topic: ${topic}) was dropped.`,
    ]).replaceAll('","', '", "'),
  ]);
});
