// What can be dropped or pasted: files of this computer, and assets of the library.

const ASSET = "application/x-atelier-asset";

/** Say whether a drag carries something that the chat takes. */
export const hasSomething = ({ dataTransfer }) => [ASSET, "Files"].some((type) => dataTransfer?.types.includes(type));

/** Take what was dropped; give whether it was anything. */
export function takeDrop(event, attached) {
  const { dataTransfer } = event;
  if (!hasSomething(event)) return false;
  event.preventDefault();
  const asset = dataTransfer.getData(ASSET);
  if (asset) attached.add(JSON.parse(asset));
  else attached.upload(dataTransfer.files);
  return true;
}

/** Let an element be dragged as an asset. */
export const drags = (asset) => ({
  draggable: true,
  onDragStart: ({ dataTransfer }) => {
    dataTransfer.setData(ASSET, JSON.stringify({ id: asset.id, kind: asset.kind, caption: asset.caption }));
    dataTransfer.setData("text/plain", `@${asset.id}`);
  },
});
