import { describe, expect, it } from 'vitest';
import { testKafka } from '../support/servers.ts';
import { startDemo } from './demo-process.ts';

describe('npm run demo with Kafka', () => {
  it('delivers each change exactly once into a Kafka that is named, and says that the topics stay', async () => {
    const { brokers } = await testKafka();
    await using demo = await startDemo(['--seconds', '3', '--kafka', brokers]);
    const { code, output, errors } = await demo.finished;
    expect({ code, errors }).toEqual({ code: 0, errors: '' });
    expect(output).toContain(`Kafka at ${brokers}, as asked for with --kafka.`);
    expect(output).toContain('✓ every row and every change exactly once');
    expect(output).toMatch(/topic shop-demo-\w+\.public\.orders: 20,\d{3} records/);
    expect(output).toContain('The topics stay in your Kafka');
    expect(await demo.left()).toEqual([]);
  });

  it.skipIf(process.env['TEST_KAFKA'] !== undefined)('starts a Kafka of its own, and ends it', async () => {
    await using demo = await startDemo(['--seconds', '2', '--sink', 'kafka']);
    const { code, output, errors } = await demo.finished;
    expect({ code, errors }).toEqual({ code: 0, errors: '' });
    expect(output).toMatch(/Kafka 4\.3\.1 at 127\.0\.0\.1:\d+, a real broker of the demo's own/);
    expect(output).toMatch(/kafka: \{ brokers: \[127\.0\.0\.1:\d+\] \}/);
    expect(output).toContain('✓ every row and every change exactly once');
    expect(await demo.left()).toEqual([]);
  });

  it('ends with the error of the pipeline where nothing answers', async () => {
    await using demo = await startDemo(['--kafka', '127.0.0.1:1']);
    const { code, errors } = await demo.finished;
    expect(code).toBe(3);
    expect(errors).toMatch(/^error\[delivery\.unreachable\] [^\n]*127\.0\.0\.1:1[^\n]*\n {2}→ [^\n]*\n$/);
    expect(await demo.left()).toEqual([]);
  });
});
