import type { CatalogueEntry } from './entry.ts';

/** Errors of schemas of records and the registry. */
export const SCHEMAS = {
  'registry.unreachable': {
    fate: 'retry',
    exit: 3,
    summary: 'The schema registry does not answer.',
    advice:
      'Nothing is lost: delivery waits and goes on by itself. Check emit.registry.url, name resolution and firewalls.',
  },
  'registry.unwell': {
    fate: 'retry',
    exit: 3,
    summary: 'The schema registry answers with an error of its own (5xx) or asks to slow down (429).',
    advice: 'Nothing is lost: delivery waits and goes on by itself. Look at the log of the registry.',
  },
  'registry.answer-malformed': {
    fate: 'retry',
    exit: 3,
    summary: 'What answers at emit.registry.url does not answer like a schema registry.',
    advice:
      'Check the base path in emit.registry.url (Apicurio: /apis/ccompat/v7) and proxies on the way; it is asked again.',
  },
  'registry.auth-failed': {
    fate: 'halt',
    exit: 3,
    summary: 'The schema registry refuses the login, or the user may not do what is needed.',
    advice: 'Check emit.registry.auth; the user needs to read and write the subjects of the topics.',
  },
  'registry.tls-failed': {
    fate: 'halt',
    exit: 3,
    summary: 'The TLS connection to the schema registry could not be made.',
    advice: 'Check emit.registry.tls: the CA, the host name in the certificate, the client certificate.',
  },
  'schema.incompatible': {
    fate: 'quarantine',
    exit: 1,
    summary: 'A table has changed in a way that the compatibility of its subject in the registry forbids.',
    advice:
      'Lower the compatibility of the subject, or choose another emit.registry.on_incompatible; the table goes on by itself, read anew, once its schema is accepted.',
  },
  'schema.incompatible-stop': {
    fate: 'halt',
    exit: 1,
    summary: 'A table has changed incompatibly, and emit.registry.on_incompatible is fail.',
    advice:
      'Lower the compatibility of the subject, or choose another emit.registry.on_incompatible. Nothing is lost: the next start goes on before the change.',
  },
  'schema.accepted': {
    fate: 'retry',
    exit: 1,
    summary: 'The schema of a paused table is accepted, or fits the settings again.',
    advice: 'Nothing to do: the table is read anew while the stream goes on.',
  },
  'schema.refused': {
    fate: 'quarantine',
    exit: 1,
    summary: 'The registry does not accept a schema as one of its format.',
    advice: 'The message holds what the registry objects to; the table waits, the others go on.',
  },
  'schema.not-latest': {
    fate: 'quarantine',
    exit: 1,
    summary: 'emit.registry.register is latest, and the latest schema of a subject is not that of the table.',
    advice: 'Register the schema of the table, or set emit.registry.register: auto.',
  },
  'schema.name-invalid': {
    fate: 'quarantine',
    exit: 2,
    summary: 'A table, column or topic has a name that the format does not allow.',
    advice: 'Set emit.registry.names: avro (or avro_unicode, which keeps names apart).',
  },
  'schema.value-unrepresentable': {
    fate: 'quarantine',
    exit: 1,
    summary: 'A value has no place in the schema of its table.',
    advice:
      'The change lies in the dead-letter topic; another emit.format or emit.profile: safe can hold it.',
  },
} as const satisfies Record<string, CatalogueEntry>;
