#!/usr/bin/env -S MALLOC_ARENA_MAX=1 node --max-semi-space-size=8 --heap-growing-percent=50
// (docs/operating.md, Memory, says what the flags are worth.)
// Nothing that an old Node lacks may be imported by name before its version has been looked at.
import module from 'node:module';

const OLDEST = 24;
const running = Number.parseInt(process.versions.node, 10);
if (running < OLDEST) {
  process.stderr.write(
    `Headwater needs Node ${OLDEST} or newer, and this is Node ${process.versions.node}.\n  → Install a newer Node; in a clone of the project "npx node" is one.\n`,
  );
  process.exit(3);
}
// Compiled code is kept between starts.
module.enableCompileCache();
const { main } = await import('./cli/cli.ts');
await main(process.argv.slice(2));
