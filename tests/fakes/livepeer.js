// A strict fake of Livepeer's AI gateway: `POST /text-to-image` takes JSON,
// `POST /image-to-video` a form with a picture that the fake has made, and what they made is at the addresses they give,
// relative to the gateway, as some tell them. It returns what `startFaultServer` returns and takes its faults.
//
//   const livepeer = await startLivepeer();   // LIVEPEER_BASE_URL = livepeer.url, LIVEPEER_API_KEY = livepeer.key

import { createHash } from 'node:crypto';
import { extend, json, startFaultServer } from './fault-server.js';

const KEY = 'livepeer-fake-0123456789';
const IMAGE_FIELDS = {
  model_id: 'string', prompt: 'string', width: 'integer', height: 'integer', guidance_scale: 'number', negative_prompt: 'string',
  safety_check: 'boolean', seed: 'integer', num_inference_steps: 'integer', num_images_per_prompt: 'integer', loras: 'string',
};
const VIDEO_FIELDS = ['image', 'model_id', 'fps', 'width', 'height', 'motion_bucket_id', 'noise_aug_strength', 'safety_check', 'seed', 'num_inference_steps'];
const PNG = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==', 'base64');

const is = {
  string: (value) => typeof value === 'string',
  integer: Number.isInteger,
  number: (value) => typeof value === 'number',
  boolean: (value) => typeof value === 'boolean',
};

/** The parts of a form (RFC 7578), `{name, filename, type, value}`; nothing when it is not well-formed to the byte. */
export function partsOf(raw, contentType = '') {
  const boundary = contentType.match(/^multipart\/form-data;\s*boundary="?([A-Za-z0-9'()+_,./:=?-]{1,70})"?$/)?.[1];
  if (!boundary) return undefined;
  const text = raw.toString('latin1');
  const [preamble, ...sections] = text.split(`--${boundary}`);
  if (preamble !== '' || sections.pop()?.trimEnd() !== '--') return undefined;
  const parts = sections.map((section) => {
    const [, head, value] = section.match(/^\r\n((?:[^\r\n]+\r\n)+)\r\n([^]*)\r\n$/) ?? [];
    const [, name, filename] = head?.match(/^content-disposition: form-data; name="([^"]+)"(?:; filename="([^"]+)")?\r\n/im) ?? [];
    return name && { name, filename, type: head.match(/^content-type: (.+)\r\n/im)?.[1], value: Buffer.from(value, 'latin1') };
  });
  return parts.every(Boolean) ? parts : undefined;
}

/** Starts it. `relative: false` gives whole addresses. */
export async function startLivepeer({ relative = true } = {}) {
  const made = new Map();
  const error = (status, msg, headers) => json(status, { detail: { msg } }, headers);
  const invalid = (...loc) => json(422, { detail: [{ loc: ['body', ...loc], msg: 'Input is not valid', type: 'value_error' }] });

  function refusal(request) {
    const { method, path, headers, body } = request;
    if (made.has(path)) return method === 'GET' ? undefined : error(405, 'Method not allowed');
    if (!['/text-to-image', '/image-to-video'].includes(path)) return error(404, 'Not found');
    if (method !== 'POST') return error(405, 'Method not allowed');
    if (headers.authorization !== `Bearer ${KEY}`) return error(401, 'Invalid bearer token.');
    return path === '/text-to-image' ? imageRefusal(headers, body) : videoRefusal(request);
  }

  function imageRefusal(headers, body) {
    if (!/^application\/json/.test(headers['content-type'] ?? '')) return invalid();
    if (!body || !is.string(body.prompt) || body.prompt.trim() === '') return invalid('prompt');
    const wrong = Object.keys(body).find((name) => !Object.hasOwn(IMAGE_FIELDS, name) || !is[IMAGE_FIELDS[name]](body[name]));
    if (wrong) return invalid(wrong);
    return [body.width ?? 1024, body.height ?? 576].every((side) => side > 0 && side % 8 === 0) ? undefined : invalid('width');
  }

  function videoRefusal(request) {
    const parts = partsOf(request.raw, request.headers['content-type']);
    if (!parts) return invalid();
    request.parts = parts;
    const wrong = parts.find(({ name, value }) => !VIDEO_FIELDS.includes(name) || (name !== 'image' && value.length === 0));
    if (wrong) return invalid(wrong.name);
    const [image, ...more] = parts.filter(({ name }) => name === 'image');
    const isMade = [...made.values()].some((media) => image && media.bytes.equals(image.value));
    if (!image?.filename || !/^image\//.test(image.type ?? '') || more.length > 0 || !isMade) return invalid('image');
    const fps = parts.find(({ name }) => name === 'fps')?.value.toString() ?? '6';
    return /^\d{1,2}$/.test(fps) ? undefined : invalid('fps');
  }

  const server = await startFaultServer({
    refusal,
    answer(request) {
      if (made.has(request.path)) {
        const { type, bytes } = made.get(request.path);
        return { status: 200, headers: { 'content-type': type }, pieces: [bytes] };
      }
      const isVideo = request.path === '/image-to-video';
      const path = `/stream/${createHash('sha256').update(request.raw).digest('hex').slice(0, 8)}/0.${isVideo ? 'mp4' : 'png'}`;
      made.set(path, isVideo ? { type: 'video/mp4', bytes: Buffer.from('....ftypisom') } : { type: 'image/png', bytes: PNG });
      return json(200, { images: [{ url: relative ? path : `${server.url}${path}`, seed: 7, nsfw: false }] });
    },
    failure: (fault) => error(fault.status, fault.message ?? 'Something went wrong', fault.headers),
  });
  return extend(server, { key: KEY });
}
