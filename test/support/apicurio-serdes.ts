/** Apicurio's Avro for Java, which nobody here wrote: Connect's converter and the deserialiser of consumers. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { cached } from '../../src/local-servers/cache.ts';
import { fetchJars } from '../../src/local-servers/downloads.ts';

const VERSION = '2.6.13.Final';

/**
 * For Connect's `plugin.path`: one folder in it, `converter`, has all the jars. Connect takes a folder for one plugin,
 * and each jar that lies in the path itself for a plugin of its own, which does not see the others.
 */
export async function apicurioSerdes(): Promise<string> {
  return cached(`apicurio-serdes-${VERSION}`, async (dir) => {
    await mkdir(join(dir, 'converter'));
    await fetchJars(join(dir, 'converter'), [`io.apicurio:apicurio-registry-utils-converter:${VERSION}`]);
  });
}

/**
 * The settings of both for a registry whose schemas came in by Confluent's API: ids of four bytes. Apicurio's own API
 * has the schemas under another path of the same server.
 *
 * @param url of Confluent's API, base path included
 */
export function apicurioSettings(url: string): Readonly<Record<string, string>> {
  return {
    'apicurio.registry.url': new URL('/apis/registry/v2', url).href,
    'apicurio.registry.as-confluent': 'true',
    'apicurio.registry.use-id': 'contentId',
  };
}
