import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createGraphiqlRenderer } from '../../src/http/graphiql.ts';

test('the page of GraphiQL MUST be rendered once, and again for other options', async () => {
  const render = createGraphiqlRenderer();
  const first = render({ title: 'One' });
  assert.equal(render({ title: 'One' }), first);
  assert.match(await first, /One/);
  assert.match(await render({ title: 'Two' }), /Two/);
});

test('the page MUST render GraphiQL with the panel of upstream calls', async () => {
  const page = await createGraphiqlRenderer()({ title: 'One' });
  assert.equal(page.split('UpstreamCalls.render(YogaGraphiQL, ').length, 2);
});
