/** The page at `/`: static files beside this one (in `dist` they are copied), which ask `/status` for what they show. */
import { readFile } from 'node:fs/promises';
import type { FastifyInstance } from 'fastify';

/** Everything comes from here, and nothing that the page is told can become markup or script. */
const PAGE_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join('; ');

const TYPES = { html: 'text/html', css: 'text/css', js: 'text/javascript', svg: 'image/svg+xml' } as const;

const FILES: readonly `${string}.${keyof typeof TYPES}`[] = [
  'index.html',
  'page.css',
  'icon.svg',
  'page.js',
  'pipeline.js',
  'tables.js',
  'chart.js',
  'ask.js',
  'elements.js',
  'quantities.js',
];

export function pageRoutes(app: FastifyInstance): void {
  for (const file of FILES) {
    const [, extension] = file.split('.') as [string, keyof typeof TYPES];
    const path = file === 'index.html' ? '/' : `/page/${file}`;
    const where = new URL(`./page/${file}`, import.meta.url);
    app.get(path, async (_request, reply) =>
      reply
        .type(`${TYPES[extension]}; charset=utf-8`)
        .header('content-security-policy', PAGE_POLICY)
        .send(await readFile(where)),
    );
  }
}
