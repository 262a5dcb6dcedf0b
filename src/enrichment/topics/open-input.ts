import type { TopicReader } from '../../emitter/topic-reader.ts';
import { HeadwaterError } from '../../errors/headwater-error.ts';
import type { TopicSource } from '../sources/topic-source.ts';

/** The number of partitions. Throws `delivery.topic-missing`, which says whose topic it is, and `delivery.…`. */
export async function openInput(
  reader: TopicReader,
  { topic, create, declaredAs }: Pick<TopicSource, 'topic' | 'create' | 'declaredAs'>,
): Promise<number> {
  try {
    return await reader.open(topic, create);
  } catch (error) {
    if (!(error instanceof HeadwaterError) || error.code !== 'delivery.topic-missing') throw error;
    const { code, details, fix, cause } = error;
    const message = `The topic ${topic} of ${declaredAs} does not exist.`;
    throw new HeadwaterError(code, message, { details, fix, cause });
  }
}
