/** `emit.registry` as it is written. */
import * as z from 'zod';
import { block, duration, flag, list, oneOf, secret, text } from './leaves.ts';
import { tls } from './tls-schema.ts';

const COMPATIBILITIES = [
  'NONE',
  'BACKWARD',
  'BACKWARD_TRANSITIVE',
  'FORWARD',
  'FORWARD_TRANSITIVE',
  'FULL',
  'FULL_TRANSITIVE',
] as const;

export const registry = block({
  url: z
    .union([text('a URL such as https://registry:8081'), list(text('a URL'), 'a URL or a list of URLs')], {
      error: 'must be a URL such as https://registry:8081, or a list of them',
    })
    .describe(
      'Address of the registry’s Confluent API, with its base path (Apicurio: https://host/apis/ccompat/v7); several are tried in order.',
    ),
  auth: block({
    username: text().optional().describe('User name (basic authentication).'),
    password: secret().optional().describe('The password, best as ${file:…} or ${env:…}.'),
    token: secret().optional().describe('Bearer token that does not expire.'),
    token_file: text('the path of a file')
      .optional()
      .describe(
        'File with a bearer token, read again for each request: whoever renews it replaces the file.',
      ),
  })
    .optional()
    .describe('Login at the registry.'),
  tls: tls.optional().describe('For https:// only. Without this block the system’s CAs are trusted.'),
  subject: oneOf(['topic', 'record', 'topic-record'], {
    TopicNameStrategy: 'write topic',
    RecordNameStrategy: 'write record',
    TopicRecordNameStrategy: 'write topic-record',
  })
    .default('topic')
    .describe(
      'Names of subjects: <topic>-key and <topic>-value; the record’s full name; or topic and record name.',
    ),
  register: oneOf(['auto', 'latest'])
    .default('auto')
    .describe(
      'auto: new schemas are registered. latest: none is; a table’s schema has to be its subject’s latest.',
    ),
  compatibility: oneOf(COMPATIBILITIES)
    .optional()
    .describe(
      'Set on each subject that is written, unless it has it. Without it the registry’s own level holds.',
    ),
  on_incompatible: oneOf(['pause_table', 'new_topic', 'set_none', 'fail'])
    .default('pause_table')
    .describe(
      'A table has changed incompatibly. pause_table: it waits, and is read anew once its schema is accepted. new_topic: it goes on in <topic>.v2, .v3 … set_none: the subject’s compatibility becomes NONE. fail: the pipeline ends.',
    ),
  names: oneOf(['none', 'avro', 'avro_unicode'])
    .default('none')
    .describe(
      'Names that the format does not allow: none refuses the table; avro writes _ for each bad character, avro_unicode its code (as Debezium’s schema.name.adjustment.mode).',
    ),
  references: flag()
    .default(false)
    .describe(
      'Avro: the row and the source block are subjects of their own, which the envelope refers to, instead of a part of it.',
    ),
  timeout: duration(100)
    .default('60s')
    .describe(
      'How long a registry that is away is waited for before the attempt is given up and begun again.',
    ),
});
