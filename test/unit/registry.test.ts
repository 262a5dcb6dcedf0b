import { createServer, type IncomingMessage, type Server } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { SILENT } from '../../src/observability/log.ts';
import type { NamedSchema } from '../../src/schema/registry/named-schema.ts';
import { RegistryClient, type RegistryOptions } from '../../src/schema/registry/registry-client.ts';
import { schemaDifference } from '../../src/schema/registry/schema-difference.ts';
import { type RegistrarOptions, SchemaRegistrar } from '../../src/schema/registry/schema-registrar.ts';

/** What the server answers: status and text, by `METHOD path`; a list is answered one by one, the last for ever. */
type Script = Readonly<Record<string, readonly (readonly [status: number, text: string])[]>>;

interface Asked {
  readonly question: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

let server: Server;
let script: Script = {};
let asked: Asked[] = [];

beforeEach(async () => {
  asked = [];
  server = createServer((request, response) => {
    void (async () => {
      let body = '';
      for await (const part of request) body += String(part);
      const question = `${request.method} ${request.url}`;
      const before = asked.filter((each) => each.question === question).length;
      asked.push({ question, headers: request.headers, body });
      const answers = script[question] ?? [[404, '{"error_code":40401,"message":"Subject not found."}']];
      const [status, text] = answers[Math.min(before, answers.length - 1)]!;
      response.writeHead(status, { 'content-type': 'application/json' }).end(text);
    })();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});

afterEach(() => {
  server.closeAllConnections();
  server.close();
});

const base = (): string => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

function client(options: Partial<RegistryOptions> = {}): RegistryClient {
  return new RegistryClient(
    {
      urls: [`${base()}/base/path/`],
      auth: { kind: 'none' },
      tls: { mode: 'verify-full' },
      requestTimeoutMs: 30_000,
      patienceMs: 300,
      ...options,
    },
    SILENT,
  );
}

const SIGNAL = new AbortController().signal;
const SCHEMA: NamedSchema = { type: 'AVRO', text: '"string"', references: [], name: 'a.b' };

function registrar(
  state: ReadonlyMap<string, string> = new Map(),
  options: Partial<RegistrarOptions> = {},
): SchemaRegistrar {
  return new SchemaRegistrar(
    client(),
    { subject: 'topic', register: 'auto', compatibility: null, onIncompatible: 'pause_table', ...options },
    { state, log: SILENT, signal: SIGNAL },
  );
}

const PLACE = { topic: 't', part: 'value' } as const;
const REGISTER = 'POST /base/path/subjects/t-value/versions';
const LATEST = 'GET /base/path/subjects/t-value/versions/latest';

describe('the registry client', () => {
  test('registers at any base path, with the schema’s type and references', async () => {
    script = { 'POST /base/path/subjects/a%2Fb/versions': [[200, '{"id":7}']] };
    const references = [{ name: 'x', subject: 'y', version: 3 }];
    expect(await client().register('a/b', { type: 'JSON', text: '{}', references }, SIGNAL)).toBe(7);
    expect(JSON.parse(asked[0]!.body)).toEqual({ schema: '{}', schemaType: 'JSON', references });
  });

  test.each([
    [
      { kind: 'basic', username: 'u', password: 'p:w' } as const,
      `Basic ${Buffer.from('u:p:w').toString('base64')}`,
    ],
    [{ kind: 'bearer', token: () => Promise.resolve('abc') } as const, 'Bearer abc'],
  ])('logs in (%o)', async (auth, header) => {
    script = { [`POST /base/path/subjects/s/versions`]: [[200, '{"id":1}']] };
    await client({ auth }).register('s', SCHEMA, SIGNAL);
    expect(asked[0]!.headers.authorization).toBe(header);
  });

  test.each([
    ['an HTML page', 200, '<html>', 'registry.answer-malformed'],
    ['no id', 200, '{}', 'registry.answer-malformed'],
    ['an id that does not fit', 200, '{"id":99999999999}', 'registry.answer-malformed'],
    ['a list', 200, '[]', 'registry.answer-malformed'],
    ['a refused login', 401, '{"error_code":401,"message":"no"}', 'registry.auth-failed'],
    ['a forbidden subject', 403, 'no', 'registry.auth-failed'],
    ['an error of the server', 500, '{"error_code":50001,"message":"store"}', 'registry.unwell'],
    ['an error of a proxy', 502, '<html>', 'registry.unwell'],
    ['too many requests', 429, '', 'registry.unwell'],
    ['an incompatible schema', 409, '{"error_code":409,"message":"y at /fields/1"}', 'schema.incompatible'],
    ['a schema it cannot read', 422, '{"error_code":42201,"message":"bad"}', 'schema.refused'],
    ['a page that is not there', 404, '{"error":"Not Found"}', 'registry.answer-malformed'],
  ])('%s is a clear error', async (_, status, text, code) => {
    script = { 'POST /base/path/subjects/s/versions': [[status, text]] };
    const error = await client()
      .register('s', SCHEMA, SIGNAL)
      .catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code });
    expect((error as Error).message).toMatch(/^[^\n]+\.(?: .*\.)?$|[.)]$/);
  });

  test('a registry that is away for a while costs only time', async () => {
    script = {
      'POST /base/path/subjects/s/versions': [
        [503, 'starting'],
        [503, 'starting'],
        [200, '{"id":5}'],
      ],
    };
    expect(await client({ patienceMs: 60_000 }).register('s', SCHEMA, SIGNAL)).toBe(5);
    expect(asked).toHaveLength(3);
  });

  test('the next address is tried where one does not answer', async () => {
    script = { 'POST /subjects/s/versions': [[200, '{"id":5}']] };
    const urls = ['http://127.0.0.1:1', base()];
    expect(await client({ urls }).register('s', SCHEMA, SIGNAL)).toBe(5);
  });

  test('nobody there', async () => {
    const error = client({ urls: ['http://127.0.0.1:1'] }).register('s', SCHEMA, SIGNAL);
    await expect(error).rejects.toMatchObject({ code: 'registry.unreachable' });
  });

  test('waiting ends with the pipeline', async () => {
    script = { 'POST /base/path/subjects/s/versions': [[503, '']] };
    const ending = new AbortController();
    const waiting = client({ patienceMs: 60_000 }).register('s', SCHEMA, ending.signal);
    const settled = waiting.catch((error: unknown) => error);
    while (asked.length === 0) await new Promise((resolve) => setImmediate(resolve));
    ending.abort();
    expect(await settled).toMatchObject({ name: 'AbortError' });
  });

  test('what is not there is told from a wrong address', async () => {
    const question = { signal: SIGNAL, patient: true };
    script = { 'POST /base/path/subjects/s': [[404, '{"error_code":40403,"message":"Schema not found"}']] };
    expect(await client().find('s', SCHEMA, question)).toBeNull();
    script = { 'POST /base/path/subjects/s': [[404, '{}']] };
    await expect(client().find('s', SCHEMA, question)).rejects.toMatchObject({
      code: 'registry.answer-malformed',
    });
  });

  test('deletes a subject, and one that is not there is no error', async () => {
    script = {
      'DELETE /base/path/subjects/there-value': [[200, '[1,2]']],
      'DELETE /base/path/subjects/kept-value': [[405, '{"error_code":405,"message":"Not allowed."}']],
    };
    const registry = client();
    await registry.deleteSubject('there-value', new AbortController().signal);
    await registry.deleteSubject('gone-value', new AbortController().signal);
    await expect(registry.deleteSubject('kept-value', new AbortController().signal)).rejects.toMatchObject({
      code: 'registry.answer-malformed',
      message: expect.stringContaining('deleting the schemas of kept-value with 405: Not allowed.') as string,
    });
    expect(asked.map(({ question }) => question)).toEqual(
      ['there', 'gone', 'kept'].map((name) => `DELETE /base/path/subjects/${name}-value`),
    );
  });
});

describe('the registrar', () => {
  test('asks once for each schema, and after a restart only whether the id is still there', async () => {
    const there = (id: number): Script => ({
      'POST /base/path/subjects/t-value': [[200, JSON.stringify({ id, version: 1, schema: SCHEMA.text })]],
    });
    script = { [REGISTER]: [[200, '{"id":7}']], ...there(7) };
    const first = registrar();
    expect([await first.id(PLACE, SCHEMA), await first.id(PLACE, SCHEMA)]).toEqual([7, 7]);
    const state = first.takeChanged();
    expect([...(state?.keys() ?? [])]).toEqual(['registry/t-value']);
    expect(first.takeChanged()).toBeUndefined();
    asked = [];
    const kept = new Map([...state!].map(([key, text]) => [key, text!]));
    expect(await registrar(kept).id(PLACE, SCHEMA)).toBe(7);
    expect(asked.map(({ question }) => question)).toEqual(['POST /base/path/subjects/t-value']);
    // With another registry behind the address it is registered there, also where the id is another schema's.
    script = { [REGISTER]: [[200, '{"id":8}']] };
    expect(await registrar(kept).id(PLACE, SCHEMA)).toBe(8);
    script = { [REGISTER]: [[200, '{"id":8}']], ...there(8) };
    expect(await registrar(kept).id(PLACE, SCHEMA)).toBe(8);
    // One that is away is believed.
    script = { 'POST /base/path/subjects/t-value': [[503, '']] };
    expect(await registrar(kept).id(PLACE, SCHEMA)).toBe(7);
  });

  test.each([
    ['topic', 't-value'],
    ['record', 'a.b'],
    ['topic-record', 't-a.b'],
  ] as const)('subjects by %s', (subject, name) => {
    expect(registrar(new Map(), { subject }).subjectOf(PLACE, 'a.b')).toBe(name);
  });

  const OLD =
    '{"type":"record","name":"V","fields":[{"name":"a","type":"int"},{"name":"b","type":"string"}]}';
  const NEW =
    '{"type":"record","name":"V","fields":[{"name":"a","type":"string"},{"name":"c","type":"string"}]}';
  const changed: NamedSchema = { ...SCHEMA, text: NEW };
  const latest = JSON.stringify({ id: 1, version: 4, schema: OLD });
  const refusing = {
    [REGISTER]: [[409, '{"error_code":409,"message":"c at /fields/1"}']],
    [LATEST]: [[200, latest]],
    'GET /base/path/config/t-value?defaultToGlobal=true': [[200, '{"compatibilityLevel":"BACKWARD"}']],
  } satisfies Script;

  test('an incompatible change is told exactly', async () => {
    script = refusing;
    await expect(registrar().id(PLACE, changed)).rejects.toMatchObject({
      code: 'schema.incompatible',
      message:
        'The compatibility BACKWARD of the subject t-value forbids the table’s new schema: ' +
        'V.a: int → string; V.b: removed (string); V.c: added (string).',
    });
  });

  test('fail ends the pipeline', async () => {
    script = refusing;
    const failing = registrar(new Map(), { onIncompatible: 'fail' }).id(PLACE, changed);
    await expect(failing).rejects.toMatchObject({
      code: 'schema.incompatible-stop',
      entry: { fate: 'halt' },
    });
  });

  test('set_none lets it pass', async () => {
    script = {
      ...refusing,
      [REGISTER]: [
        [409, '{"error_code":409,"message":"x"}'],
        [200, '{"id":2}'],
      ],
      'PUT /base/path/config/t-value': [[200, '{"compatibility":"NONE"}']],
    };
    expect(await registrar(new Map(), { onIncompatible: 'set_none' }).id(PLACE, changed)).toBe(2);
    const put = asked.find(({ question }) => question.startsWith('PUT'));
    expect(JSON.parse(put!.body)).toEqual({ compatibility: 'NONE' });
  });

  test('what was refused can be offered again', async () => {
    script = refusing;
    const each = registrar();
    const error: unknown = await each.id(PLACE, changed).catch((thrown: unknown) => thrown);
    const refused = each.refusedBy(error)!;
    expect(await each.offer(refused.subject, refused.schema)).toMatchObject({ code: 'schema.incompatible' });
    script = { [REGISTER]: [[200, '{"id":3}']] };
    expect(await each.offer(refused.subject, refused.schema)).toBeNull();
    expect(await each.id(PLACE, changed)).toBe(3);
  });

  test('sets the compatibility of a subject: before a new version, behind the first', async () => {
    const level = 'GET /base/path/config/t-value?defaultToGlobal=true';
    script = {
      [REGISTER]: [[200, '{"id":3}']],
      [LATEST]: [[200, latest]],
      [level]: [[200, '{"compatibilityLevel":"NONE"}']],
      'PUT /base/path/config/t-value': [[200, '{"compatibility":"FULL"}']],
    };
    const order = (): readonly string[] => asked.map(({ question }) => question.split(' ')[0]!);
    await registrar(new Map(), { compatibility: 'FULL' }).id(PLACE, SCHEMA);
    expect(order()).toEqual(['GET', 'GET', 'PUT', 'POST']);
    asked = [];
    script = { ...script, [LATEST]: [[404, '{"error_code":40401}']] };
    await registrar(new Map(), { compatibility: 'FULL' }).id(PLACE, SCHEMA);
    expect(order()).toEqual(['GET', 'POST', 'GET', 'PUT']);
  });

  test('latest registers nothing, and refuses what is not the latest', async () => {
    script = { [LATEST]: [[200, latest]], 'POST /base/path/subjects/t-value': [[200, latest]] };
    const only = registrar(new Map(), { register: 'latest' });
    expect(await only.id(PLACE, { ...SCHEMA, text: OLD })).toBe(1);
    script = { [LATEST]: [[200, latest]] };
    await expect(only.id(PLACE, changed)).rejects.toMatchObject({
      code: 'schema.not-latest',
      message: expect.stringContaining('V.a: int → string') as unknown,
    });
    expect(asked.some(({ question }) => question === REGISTER)).toBe(false);
  });
});

describe('differences', () => {
  test('of JSON Schema', () => {
    const json = (properties: unknown): NamedSchema => ({
      ...SCHEMA,
      type: 'JSON',
      text: JSON.stringify({ type: 'object', title: 'V', properties }),
    });
    const nullable = { oneOf: [{ type: 'null' }, { type: 'integer', 'connect.type': 'int32' }] };
    expect(
      schemaDifference(json({ a: nullable }), json({ a: { type: 'string' }, b: { type: 'string' } })),
    ).toEqual(['a: null|int32 → string', 'b: added (string)']);
  });

  test('of Protobuf', () => {
    const proto = (body: string): NamedSchema => ({
      ...SCHEMA,
      type: 'PROTOBUF',
      text: `syntax = "proto3";\npackage a;\n\nmessage E {\n  optional V before = 1;\n\n  message V {\n${body}\n  }\n}\n`,
    });
    expect(
      schemaDifference(proto('    int32 a = 1;\n    optional string b = 2;'), proto('    int64 a = 1;')),
    ).toEqual(['V.a: int32 = 1 → int64 = 1', 'V.b: removed (optional string = 2)']);
  });

  test('of another format', () => {
    expect(schemaDifference(SCHEMA, { ...SCHEMA, type: 'JSON' })).toEqual(['format: AVRO → JSON']);
  });
});
