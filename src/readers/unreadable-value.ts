import { HeadwaterError } from '../errors/headwater-error.ts';

/** The server sent text that is not the output form of the type. The text itself stays out of the message. */
export function unreadableValue(type: string): HeadwaterError {
  return new HeadwaterError(
    'source.value-unreadable',
    `The server sent a value that is not in the text form of the type ${type}.`,
    { details: { type } },
  );
}
