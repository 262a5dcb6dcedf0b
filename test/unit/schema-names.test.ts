import { expect, test } from 'vitest';
import { adjustNames, type NameAdjustment } from '../../src/schema/schema-names.ts';

test.each<[NameAdjustment, string, string]>([
  ['none', '1-shop.öffentlich.a_b.Value', '1-shop.öffentlich.a_b.Value'],
  ['avro', '1-shop.öffentlich.a_b.Value', '__shop._ffentlich.a_b.Value'],
  // As Debezium's avro_unicode: no two names become one, since the underscore has a code too.
  ['avro_unicode', '1-shop.öffentlich.a_b.Value', '_u0031_u002dshop._u00f6ffentlich.a_u005fb.Value'],
  ['avro_unicode', 'a.😀', 'a._ud83d_ude00'],
])('%s makes of %s', (mode, name, expected) => {
  expect(adjustNames({ type: 'struct', optional: false, name, fields: [] }, mode)).toMatchObject({
    name: expected,
  });
});
