import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { partsOf, startLivepeer } from './livepeer.js';

let livepeer;
before(async () => { livepeer = await startLivepeer(); });
beforeEach(() => livepeer.reset());
after(() => livepeer.close());

const authorized = () => ({ authorization: `Bearer ${livepeer.key}` });
const picture = (body, headers = authorized()) => fetch(`${livepeer.url}/text-to-image`, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(body) });
const animate = (form, headers = authorized()) => fetch(`${livepeer.url}/image-to-video`, { method: 'POST', headers, body: form });

async function made() {
  const { images } = await (await picture({ prompt: 'A cat', width: 1024 })).json();
  return (await fetch(livepeer.url + images[0].url)).blob();
}

function formOf(image, fields = { fps: '6' }) {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.set(name, value);
  form.set('image', image, 'image.png');
  return form;
}

test('a picture is made of words, and a video of the picture', async () => {
  const response = await animate(formOf(await made()));
  const { images } = await response.json();
  assert.equal(response.status, 200);
  assert.match(images[0].url, /^\/stream\/.+\.mp4$/);
  assert.equal((await fetch(livepeer.url + images[0].url)).headers.get('content-type'), 'video/mp4');
});

test('a wrong key, wrong fields and a picture of somebody else\'s are refused', async () => {
  assert.equal((await picture({ prompt: 'A cat' }, {})).status, 401);
  assert.equal((await animate(formOf(await made()), {})).status, 401);
  for (const body of [{}, { prompt: ' ' }, { prompt: 'A', size: 'big' }, { prompt: 'A', width: '1024' }, { prompt: 'A', width: 1023 }]) {
    assert.equal((await picture(body)).status, 422, JSON.stringify(body));
  }
  const image = await made();
  assert.equal((await animate(formOf(new Blob(['x'], { type: 'image/png' })))).status, 422);
  assert.equal((await animate(formOf(image, { frames: '9' }))).status, 422);
  assert.equal((await animate(formOf(image, { fps: 'six' }))).status, 422);
  assert.equal((await animate(formOf(new Blob([image])))).status, 422);
});

test('a form is read to the byte, or not at all', () => {
  const type = 'multipart/form-data; boundary=b0';
  const part = '--b0\r\nContent-Disposition: form-data; name="fps"\r\n\r\n6\r\n';
  assert.deepEqual(partsOf(Buffer.from(`${part}--b0--\r\n`), type).map(({ name, value }) => [name, String(value)]), [['fps', '6']]);
  for (const wrong of [part, `${part}--b0`, `x${part}--b0--`, `${part}--b1--`, part.replaceAll('\r\n', '\n'), '']) {
    assert.equal(partsOf(Buffer.from(wrong), type), undefined, wrong);
  }
  assert.equal(partsOf(Buffer.from(`${part}--b0--\r\n`), 'application/json'), undefined);
});
