import type { Target } from './target.ts';

export interface PipelineFile {
  readonly name: string;
  readonly databaseUrl: string;
  readonly target: Target;
  readonly httpPort: number;
}

/** The settings file of the demo's pipeline: what a reader takes away as a first file of their own. */
export function pipelineYaml({ name, databaseUrl, target, httpPort }: PipelineFile): string {
  const emit =
    target.kind === 'kafka'
      ? `kafka: { brokers: [${target.brokers}] }`
      : 'file: { path: records }      # a directory beside this file';
  return `name: ${name}                      # topics ${name}.<schema>.<table>
source:
  url: ${databaseUrl}
  tables: [public.customers, public.orders]
emit:
  ${emit}
  profile: safe                   # decimals as text; without this line as Debezium writes them
http: { listen: 127.0.0.1:${httpPort} }
`;
}
