import { execFile } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type DaemonProcess, startProcess } from '../daemon-process.ts';
import { DEFAULT_HEAP, JVM_FLAGS } from '../jvm.ts';

export interface JavaProgram {
  readonly main: string;
  readonly classPath: string;
}

/** Compiles one of the sources beside this file into `directory`, over the jars in `libraries`. Needs a JDK. */
export async function compileJava(main: string, libraries: string, directory: string): Promise<JavaProgram> {
  const jars = join(libraries, '*');
  await mkdir(directory, { recursive: true });
  const source = join(import.meta.dirname, `${main}.java`);
  await promisify(execFile)('javac', ['-cp', jars, '-d', directory, source]);
  return { main, classPath: `${directory}:${jars}` };
}

/** All with the same settings of the JVM. */
export function startJava(
  { main, classPath }: JavaProgram,
  {
    args,
    log,
    directory,
  }: { readonly args: readonly string[]; readonly log: string; readonly directory: string },
): DaemonProcess {
  return startProcess({
    file: 'java',
    args: [...DEFAULT_HEAP, ...JVM_FLAGS, '-cp', classPath, main, ...args],
    log: join(directory, log),
    cwd: directory,
  });
}
