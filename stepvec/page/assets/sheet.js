// All photos, of which only those in sight are elements: 100,000 scroll like 100.
const sheet = { columns: 1, width: 0, height: 0, gap: 10, cells: new Map(), spare: [], waiting: false };
const CELL_WIDTH = 150, PHONE_CELL_WIDTH = 104, NAME_HEIGHT = 21, ROWS_BEYOND = 2;

const makeCell = () => {
  const picture = element("span", { className: "picture" });
  const name = element("span", { className: "name" });
  const button = element("button", { type: "button", className: "photo" }, picture, name);
  const cell = element("div", { className: "cell" }, button);
  cell.setAttribute("role", "listitem");
  button.addEventListener("click", () => goTo(cell.number));
  return Object.assign(cell, { button, picture, name });
};

const showIn = (cell, place) => {
  const number = state.shown[place], key = keyOf(number);
  cell.number = number;
  cell.name.textContent = nameOf(key);
  cell.name.title = key;
  cell.button.setAttribute("aria-label", key);
  cell.setAttribute("aria-setsize", state.shown.length);
  cell.setAttribute("aria-posinset", place + 1);
  fill(cell.picture, number, "");
  const column = place % sheet.columns, row = (place - column) / sheet.columns;
  cell.style.width = `${sheet.width}px`;
  cell.style.height = `${sheet.height - sheet.gap}px`;
  cell.style.transform = `translate(${column * (sheet.width + sheet.gap)}px, ${row * sheet.height}px)`;
  mark(cell);
};

const mark = (cell) => {
  cell.button.tabIndex = cell.number === state.current ? 0 : -1;
  cell.button.setAttribute("aria-current", String(cell.number === state.open));
};

const drawSheet = () => {
  sheet.waiting = false;
  if (state.tab !== "photos") return;
  const top = -$("sheet").getBoundingClientRect().top;
  const first = Math.max(0, Math.floor(top / sheet.height) - ROWS_BEYOND) * sheet.columns;
  const end = Math.min(state.shown.length, (Math.ceil((top + innerHeight) / sheet.height) + ROWS_BEYOND) * sheet.columns);
  for (const [place, cell] of sheet.cells) {
    if (place >= first && place < end) continue;
    sheet.cells.delete(place);
    cell.picture.replaceChildren(); // a picture that is still on its way need not come
    sheet.spare.push(cell);
    cell.hidden = true;
  }
  for (let place = first; place < end; place++) {
    if (sheet.cells.has(place)) continue;
    let cell = sheet.spare.shift();
    if (!cell) $("sheet").append((cell = makeCell()));
    cell.hidden = false;
    showIn(cell, place);
    sheet.cells.set(place, cell);
  }
};

const drawSheetSoon = () => {
  if (sheet.waiting) return;
  sheet.waiting = true;
  requestAnimationFrame(drawSheet);
};

// How many columns there are, and where everything is; photos that were there are shown anew.
const layOutSheet = () => {
  const space = $("sheet").clientWidth;
  if (!space) return;
  const wanted = innerWidth < 640 ? PHONE_CELL_WIDTH : CELL_WIDTH;
  sheet.columns = Math.max(1, Math.floor((space + sheet.gap) / (wanted + sheet.gap)));
  sheet.width = (space - (sheet.columns - 1) * sheet.gap) / sheet.columns;
  sheet.height = sheet.width + NAME_HEIGHT + sheet.gap;
  $("sheet").style.height = `${Math.ceil(state.shown.length / sheet.columns) * sheet.height}px`;
  for (const cell of sheet.cells.values()) {
    cell.hidden = true;
    sheet.spare.push(cell);
  }
  sheet.cells.clear();
  drawSheet();
};

const markSheet = () => sheet.cells.forEach(mark);

// Bring a photo into sight, and the keyboard to it.
const focusInSheet = (number, { focus = true } = {}) => {
  const place = state.shown.indexOf(number);
  if (place < 0 || !sheet.height) return;
  const row = Math.floor(place / sheet.columns), above = document.querySelector(".bar").offsetHeight + 8;
  const top = $("sheet").getBoundingClientRect().top + row * sheet.height;
  if (top < above) scrollBy(0, top - above);
  else if (top + sheet.height > innerHeight) scrollBy(0, top + sheet.height - innerHeight);
  drawSheet();
  markSheet();
  if (focus) sheet.cells.get(place)?.button.focus({ preventScroll: true });
};
