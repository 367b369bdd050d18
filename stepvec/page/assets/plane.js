// Where photos lie on the map, and how the map is moved.
const plane = { scale: 1, x: 0, y: 0, width: 0, height: 0, ratio: 1 };
const MAP_SIDE = 4095, MARGIN = 40, MOST_SCALE = 60;

const placeOf = (number) => {
  const [x, y] = content.points[number];
  const across = plane.width - 2 * MARGIN, down = plane.height - 2 * MARGIN;
  return [
    MARGIN + (x / MAP_SIDE) * across * plane.scale + plane.x,
    MARGIN + (1 - y / MAP_SIDE) * down * plane.scale + plane.y,
  ];
};

// The map stays in sight: of its sides none comes further in than where it lies when all is shown.
const hold = (offset, size) => Math.min(0, Math.max(offset, (size - 2 * MARGIN) * (1 - plane.scale)));

const moveBy = (x, y) => {
  plane.x = hold(plane.x + x, plane.width);
  plane.y = hold(plane.y + y, plane.height);
  drawMapSoon();
};

// Change the scale, with the point (x, y) staying where it is.
const scaleBy = (factor, x = plane.width / 2, y = plane.height / 2) => {
  const scale = Math.min(MOST_SCALE, Math.max(1, plane.scale * factor)), change = scale / plane.scale;
  plane.scale = scale;
  plane.x = hold((plane.x + MARGIN - x) * change + x - MARGIN, plane.width);
  plane.y = hold((plane.y + MARGIN - y) * change + y - MARGIN, plane.height);
  drawMapSoon();
};

const wholeMap = () => {
  Object.assign(plane, { scale: 1, x: 0, y: 0 });
  drawMapSoon();
};

const bringIntoMap = (number) => {
  const [x, y] = placeOf(number), within = (value, size) => Math.min(0, size - MARGIN - value) + Math.max(0, MARGIN - value);
  moveBy(within(x, plane.width), within(y, plane.height));
};

// The photo that is next in a direction: near, and not far off to the side.
const nextOnMap = (number, right, down) => {
  const [fromX, fromY] = placeOf(number);
  let best = null, least = Infinity;
  for (const other of state.shown) {
    const [x, y] = placeOf(other), along = (x - fromX) * right + (y - fromY) * down;
    const aside = Math.abs((x - fromX) * down) + Math.abs((y - fromY) * right);
    if (other === number || along <= 0 || aside > 2 * along) continue;
    const far = along + 2 * aside;
    if (far < least) [best, least] = [other, far];
  }
  return best;
};
