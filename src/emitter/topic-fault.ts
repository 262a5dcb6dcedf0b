import type { Code } from '../errors/catalogue.ts';
import { asHeadwaterError, HeadwaterError } from '../errors/headwater-error.ts';

/** Kafka's limit. */
const LONGEST = 249;

const FAULTS: ReadonlySet<Code> = new Set<Code>([
  'delivery.topic-missing',
  'delivery.topic-denied',
  'delivery.topic-invalid',
  'delivery.topic-refused',
]);

/** The error, where it is about one topic alone: what goes to others need not wait. */
export function topicFaultOf(thrown: unknown): HeadwaterError | null {
  const error = asHeadwaterError(thrown);
  return FAULTS.has(error.code) ? error : null;
}

/** For names that rows make. Throws `delivery.topic-invalid`, without the name: it may be as long as a value is. */
export function refuseTopicName(name: string, whose: string): void {
  if (name !== '' && name !== '.' && name !== '..' && name.length <= LONGEST) return;
  throw new HeadwaterError(
    'delivery.topic-invalid',
    `${whose} makes the name of a topic with ${name.length} characters, and Kafka takes 1 to ${LONGEST}, other than . and ..`,
  );
}
