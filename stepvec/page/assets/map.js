// The map: a dot for each photo, and a picture wherever there is room for one.
const map = { pictures: new Map(), drawn: [], waiting: false, pointers: new Map(), moved: 0 };
const PICTURE_SIZE = 44, PHONE_PICTURE_SIZE = 32, DOT = 3, CLICK_PIXELS = 6, REACH = 14;

const mapPicture = (number) => {
  if (!map.pictures.has(number)) {
    const address = addressOf(number), image = new Image();
    map.pictures.set(number, image);
    image.addEventListener("load", () => drawMapSoon());
    if (address) image.src = address;
  }
  const image = map.pictures.get(number);
  return image.complete && image.naturalWidth > 1 ? image : null;
};

// light-dark() is resolved in a property that is a colour, not in one of our own.
const colours = () => {
  const probe = $("pointed"), found = {};
  for (const name of ["--soft", "--strong", "--edge"]) {
    probe.style.color = `var(${name})`;
    found[name.slice(2)] = getComputedStyle(probe).color;
  }
  probe.style.color = "";
  return found;
};

const drawPicture = (drawing, image, x, y, size) => {
  const side = Math.min(image.naturalWidth, image.naturalHeight);
  const left = (image.naturalWidth - side) / 2, top = (image.naturalHeight - side) / 2;
  drawing.drawImage(image, left, top, side, side, x - size / 2, y - size / 2, size, size);
};

const drawMap = () => {
  map.waiting = false;
  if (state.tab !== "map" || !plane.width) return;
  const drawing = $("plane").getContext("2d"), inks = colours();
  const size = innerWidth < 640 ? PHONE_PICTURE_SIZE : PICTURE_SIZE, taken = new Set();
  drawing.setTransform(plane.ratio, 0, 0, plane.ratio, 0, 0);
  drawing.clearRect(0, 0, plane.width, plane.height);
  map.drawn = [];
  drawing.fillStyle = inks.soft;
  // The open photo first, so that its own picture has room; then in the keys' order, which does not change.
  const order = state.open === null ? state.shown : [state.open, ...state.shown];
  for (const number of order) {
    const [x, y] = placeOf(number);
    if (x < -size || y < -size || x > plane.width + size || y > plane.height + size) continue;
    const spot = `${Math.round(x / size)},${Math.round(y / size)}`;
    if (!taken.has(spot)) {
      taken.add(spot);
      map.drawn.push([number, x, y]);
    }
    drawing.fillRect(x - DOT / 2, y - DOT / 2, DOT, DOT);
  }
  for (const [number, x, y] of map.drawn) {
    const image = mapPicture(number);
    if (image) drawPicture(drawing, image, x, y, size - 4);
  }
  drawOpen(drawing, inks, size);
};

// Lines from the open photo to its nearest, and a frame around the photo that the keyboard is at.
const drawOpen = (drawing, inks, size) => {
  drawing.strokeStyle = inks.strong;
  drawing.lineWidth = 1.5;
  const near = state.open === null ? null : map.near;
  if (near && near.of === state.open) {
    const [fromX, fromY] = placeOf(state.open);
    for (const other of near.photos) {
      const [x, y] = placeOf(other), image = mapPicture(other);
      drawing.beginPath();
      drawing.moveTo(fromX, fromY);
      drawing.lineTo(x, y);
      drawing.stroke();
      if (image) drawPicture(drawing, image, x, y, size * 0.8);
    }
    const image = mapPicture(state.open);
    if (image) drawPicture(drawing, image, fromX, fromY, size);
  }
  if (document.activeElement === $("plane") || state.open !== null) {
    const [x, y] = placeOf(state.open ?? state.current);
    drawing.lineWidth = 3;
    drawing.strokeRect(x - size / 2, y - size / 2, size, size);
  }
};

const drawMapSoon = () => {
  if (map.waiting) return;
  map.waiting = true;
  requestAnimationFrame(drawMap);
};

const layOutMap = () => {
  const canvas = $("plane");
  if (!canvas.clientWidth) return;
  Object.assign(plane, { width: canvas.clientWidth, height: canvas.clientHeight, ratio: devicePixelRatio || 1 });
  canvas.width = plane.width * plane.ratio;
  canvas.height = plane.height * plane.ratio;
  moveBy(0, 0);
};

// The photo at a point of the map, or null: a picture before a dot.
const photoAt = (x, y) => {
  const half = (innerWidth < 640 ? PHONE_PICTURE_SIZE : PICTURE_SIZE) / 2 - 2;
  const near = state.open !== null && map.near?.of === state.open ? map.near.photos : [];
  for (const number of near) {
    const [left, top] = placeOf(number);
    if (Math.abs(left - x) <= half && Math.abs(top - y) <= half) return number;
  }
  const under = map.drawn.filter(([, left, top]) => Math.abs(left - x) <= half && Math.abs(top - y) <= half);
  if (under.length) return under.at(-1)[0];
  let best = null, least = REACH;
  for (const number of state.shown) {
    const [left, top] = placeOf(number), far = Math.hypot(left - x, top - y);
    if (far < least) [best, least] = [number, far];
  }
  return best;
};

const goOnMap = (number) => {
  state.current = number;
  $("pointed").textContent = keyOf(number);
  bringIntoMap(number);
  if (state.open !== null) goTo(number, { replace: true });
};

const spread = () => {
  const [one, other] = [...map.pointers.values()];
  return { far: Math.hypot(one.x - other.x, one.y - other.y), x: (one.x + other.x) / 2, y: (one.y + other.y) / 2 };
};

const listenToMap = () => {
  const canvas = $("plane"), at = (event) => ({ x: event.offsetX, y: event.offsetY });
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    if (!map.pointers.size) map.moved = 0;
    map.pointers.set(event.pointerId, at(event));
  });
  canvas.addEventListener("pointermove", (event) => {
    const now = at(event), before = map.pointers.get(event.pointerId);
    if (!before) {
      const number = photoAt(now.x, now.y);
      $("pointed").textContent = number === null ? "" : keyOf(number);
      return;
    }
    const was = map.pointers.size === 2 ? spread() : null;
    map.pointers.set(event.pointerId, now);
    map.moved += Math.hypot(now.x - before.x, now.y - before.y);
    if (was) {
      const is = spread();
      scaleBy(is.far / was.far, is.x, is.y);
      moveBy(is.x - was.x, is.y - was.y);
    } else moveBy(now.x - before.x, now.y - before.y);
  });
  canvas.addEventListener("pointerup", (event) => {
    const was = map.pointers.delete(event.pointerId), { x, y } = at(event);
    const number = was && map.moved < CLICK_PIXELS ? photoAt(x, y) : null;
    if (number !== null) goTo(number);
  });
  canvas.addEventListener("pointercancel", (event) => map.pointers.delete(event.pointerId));
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    scaleBy(Math.exp(-event.deltaY / 400), event.offsetX, event.offsetY);
  }, { passive: false });
  for (const event of ["focus", "blur"]) canvas.addEventListener(event, drawMapSoon);
  $("closer").addEventListener("click", () => scaleBy(1.6));
  $("farther").addEventListener("click", () => scaleBy(1 / 1.6));
  $("whole").addEventListener("click", wholeMap);
};
