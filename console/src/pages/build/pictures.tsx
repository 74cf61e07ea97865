// Pictures that go with a message: taken from a paste, a drop or a file, and
// made small enough to be sent.

import type { Signal } from "@preact/signals";
import type { Picture } from "../../api/types.ts";
import { texts } from "../../texts.ts";
import { Button, say } from "../../ui/parts.tsx";

const t = texts.build;

/** As the API has it. */
export const MOST_PICTURES = 4;
const MOST_CHARACTERS = 400_000;
/** What Claude makes smaller by itself is not worth sending. */
const LONGEST_EDGE = 1_568;

export const addressOf = ({ mediaType, data }: Picture): string => `data:${mediaType};base64,${data}`;

/** Takes the pictures among these files; says which it could not take. */
export async function take(files: Iterable<File>, pictures: Signal<Picture[]>): Promise<void> {
  for (const file of files) {
    if (!file.type.startsWith("image/")) {
      say(t.noPicture(file.name), "error");
      continue;
    }
    if (pictures.peek().length >= MOST_PICTURES) return say(t.tooManyPictures(MOST_PICTURES), "error");
    const picture = await small(file).catch(() => undefined);
    if (picture) pictures.value = [...pictures.peek(), picture];
    else say(t.noPicture(file.name), "error");
  }
}

async function small(file: File): Promise<Picture | undefined> {
  const image = await createImageBitmap(file);
  for (const [edge, quality] of [[LONGEST_EDGE, 0.85], [1_024, 0.75], [640, 0.6]] as const) {
    const scale = Math.min(1, edge / Math.max(image.width, image.height));
    const canvas = new OffscreenCanvas(Math.max(1, Math.round(image.width * scale)), Math.max(1, Math.round(image.height * scale)));
    canvas.getContext("2d")?.drawImage(image, 0, 0, canvas.width, canvas.height);
    const blob = await canvas.convertToBlob({ type: "image/webp", quality });
    const data = base64(new Uint8Array(await blob.arrayBuffer()));
    if (data.length <= MOST_CHARACTERS) return { mediaType: blob.type, data };
  }
  return undefined;
}

function base64(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += 8_192) text += String.fromCharCode(...bytes.subarray(at, at + 8_192));
  return btoa(text);
}

export function Pictures({ of, onRemove }: { of: readonly Picture[]; onRemove?: (at: number) => void }) {
  if (of.length === 0) return null;
  return (
    <ul class="pictures plain" aria-label={t.pictures}>
      {of.map((picture, at) => (
        <li key={at}>
          <img src={addressOf(picture)} alt={t.picture(at + 1)} />
          {onRemove && <Button look="plain" icon="close" aria-label={t.removePicture(at + 1)} title={t.removePicture(at + 1)} onClick={() => onRemove(at)} />}
        </li>
      ))}
    </ul>
  );
}
