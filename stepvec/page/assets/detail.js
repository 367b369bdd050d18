// The photo that is open, and its nearest.
const drawDetail = async () => {
  const room = $("detail"), number = state.open;
  room.hidden = number === null;
  if (number === null) return;
  const close = element("button", { type: "button" }, "Close");
  close.setAttribute("aria-label", "Close (Escape)");
  close.addEventListener("click", shut);
  const near = element("div", { className: "photos" });
  room.replaceChildren(
    element("div", { className: "head" }, element("h2", {}, keyOf(number)), close),
    pictureOf(number, keyOf(number)),
    ...(content.originals ? [element("p", {}, link(number, "The whole photo"))] : []),
    element("h2", {}, "Nearest, by cosine"),
    near,
  );
  room.scrollTop = 0;
  let found;
  try {
    found = await nearOf(number);
  } catch {
    return near.replaceChildren(unreachable());
  }
  if (state.open !== number) return;
  map.near = { of: number, photos: found.photos };
  drawMapSoon();
  near.replaceChildren(...found.photos.map((other, place) => photoButton(other, found.cosines[place].toFixed(3))));
  if (!found.photos.length) near.replaceChildren("There is no other photo.");
};
