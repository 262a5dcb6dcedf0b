/** Pipelines whose records are of a registry's formats, into files. */
import type { TestRegistry } from '../support/servers.ts';
import { pipelineFile, type PipelineFile, type Workspace } from './headwater.ts';

export interface RegistryPipeline {
  readonly registry: TestRegistry;
  /** Of the source. */
  readonly url: string;
  readonly tables: readonly string[];
  /** Avro unless said otherwise. */
  readonly format?: 'avro' | 'protobuf' | 'json-schema';
  /** Where the registry is asked, instead of at its own address. */
  readonly registryUrl?: string;
  /** Further entries of `emit.registry`: `names: avro`. */
  readonly settings?: readonly string[];
  readonly source?: PipelineFile['source'];
  /** Instead of the registry's prefix. */
  readonly name?: string;
  /** Of the directory with the records, and of the settings file; `out` unless said otherwise. */
  readonly out?: string;
}

/** Writes its settings and returns their path. Its records come to lie in `work.path(out)`. */
export function writeRegistryPipeline(work: Workspace, pipeline: RegistryPipeline): Promise<string> {
  const { registry, format = 'avro', settings = [], out = 'out' } = pipeline;
  const asked = [`url: ${pipeline.registryUrl ?? registry.url}`, ...settings].join(', ');
  return work.write(
    `${out}.yaml`,
    pipelineFile({
      name: pipeline.name ?? registry.prefix,
      url: pipeline.url,
      tables: pipeline.tables,
      path: work.path(out),
      emit: [`format: ${format}`, `registry: { ${asked} }`],
      source: pipeline.source ?? [],
    }),
  );
}
