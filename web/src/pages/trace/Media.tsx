/** Images, sound and files of messages: from the message itself, or fetched by their hash when they come into view. */
import { useEffect, useState } from "preact/hooks";
import { blobUrl } from "../../api/client";
import { formatBytes } from "../../state/format";
import { isSafeImage, isWebLink, type MediaPart } from "../../trace/chat";
import { lookOf, mediaIn, type Stored } from "../../trace/media";
import { Icon } from "../../ui/icons";
import { Dialog } from "../../ui/kit";

export function Media({ media }: { media: MediaPart }) {
  if (media.stored) return <StoredMedia mime={media.mime} stored={media.stored} />;
  if (isSafeImage(media.url)) return <Picture url={media.url} mime={media.mime} />;
  // A linked image is not fetched by itself: opening a trace must not tell anybody.
  return (
    <p class="media">
      <Icon name="link" size={14} />
      <span class="chip">{media.mime}</span>
      {isWebLink(media.url) ? (
        <a class="ellipsis" href={media.url} target="_blank" rel="noopener noreferrer nofollow">
          {media.label}
        </a>
      ) : (
        <span class="ellipsis">{media.label}</span>
      )}
    </p>
  );
}

/** The media that any value refers to, a tool's result say. */
export function MediaOf({ value }: { value: unknown }) {
  const found = mediaIn(value);
  if (!found.length) return null;
  return (
    <div class="media-found">
      {found.map((one) => (
        <StoredMedia key={one.stored.hash} mime={one.mime} stored={one.stored} />
      ))}
    </div>
  );
}

function StoredMedia({ mime, stored }: { mime: string; stored: Stored }) {
  const [broken, setBroken] = useState(false);
  const url = blobUrl(stored.hash);
  const look = broken ? "file" : lookOf(mime);
  return (
    <figure class="media-stored">
      {look === "image" && <Picture url={url} mime={mime} onBroken={() => setBroken(true)} />}
      {look === "audio" && <audio controls preload="metadata" aria-label="Sound in the message" src={url} onError={() => setBroken(true)} />}
      {look === "video" && <video controls preload="metadata" aria-label="Video in the message" src={url} onError={() => setBroken(true)} />}
      <figcaption class="media">
        <span class="chip">{mime}</span>
        {stored.sizeBytes !== null && <span class="muted num">{formatBytes(stored.sizeBytes)}</span>}
        {stored.truncated && (
          <span class="chip chip-warn" title="The sender cut it, so it may not open">
            cut
          </span>
        )}
        {broken ? <Broken url={url} hash={stored.hash} /> : <Download hash={stored.hash} />}
      </figcaption>
    </figure>
  );
}

function Download({ hash }: { hash: string }) {
  return (
    <a href={blobUrl(hash, true)} download>
      <Icon name="download" size={13} /> Download
    </a>
  );
}

/** Says why media are not shown: they are gone, or only this browser cannot show them. */
function Broken({ url, hash }: { url: string; hash: string }) {
  const [gone, setGone] = useState<boolean | null>(null);
  useEffect(() => {
    const abort = new AbortController();
    fetch(url, { method: "HEAD", credentials: "same-origin", signal: abort.signal }).then(
      (reply) => setGone(reply.status === 404),
      () => !abort.signal.aborted && setGone(false),
    );
    return () => abort.abort();
  }, [url]);
  if (gone === null) return null;
  return gone ? (
    <span class="muted">No longer kept, or never received</span>
  ) : (
    <>
      <span class="muted">Cannot be shown here</span>
      <Download hash={hash} />
    </>
  );
}

function Picture({ url, mime, onBroken }: { url: string; mime: string; onBroken?: () => void }) {
  const [large, setLarge] = useState(false);
  return (
    <>
      <button type="button" class="thumb" onClick={() => setLarge(true)} aria-label="Show the image">
        <img src={url} alt="Image in the message" loading="lazy" onError={onBroken} />
      </button>
      {large && (
        <Dialog title={mime} onClose={() => setLarge(false)} class="image-dialog">
          <img src={url} alt="Image in the message" />
        </Dialog>
      )}
    </>
  );
}
