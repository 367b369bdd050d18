// The keyboard: / filters, arrows walk, Enter shows what is nearest, Escape goes back.
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

const walkSheet = (key) => {
  const last = state.shown.length - 1, at = state.shown.indexOf(state.current);
  const [across, down] = ARROWS[key] ?? [0, 0];
  const page = Math.max(1, Math.floor(innerHeight / sheet.height) - 1) * sheet.columns;
  const steps = { Home: -at, End: last - at, PageUp: -page, PageDown: page }[key] ?? across + down * sheet.columns;
  let to = at + steps;
  if (to < 0 || to > last) to = key.startsWith("Arrow") ? at : Math.min(last, Math.max(0, to));
  state.current = state.shown[Math.max(0, to)];
  if (state.open !== null && !isPhone()) goTo(state.current, { replace: true });
  focusInSheet(state.current);
};

const walkMap = (key) => {
  const next = nextOnMap(state.current, ...ARROWS[key]);
  if (next !== null) goOnMap(next);
};

const onMapKey = (event) => {
  if (ARROWS[event.key]) walkMap(event.key);
  else if (event.key === "Enter" || event.key === " ") goTo(state.current);
  else if (event.key === "+" || event.key === "=") scaleBy(1.6);
  else if (event.key === "-") scaleBy(1 / 1.6);
  else if (event.key === "0") wholeMap();
  else return;
  event.preventDefault();
};

const onTabKey = (event) => {
  const at = TABS.indexOf(state.tab), step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (!step) return;
  event.preventDefault();
  const next = TABS[(at + step + TABS.length) % TABS.length];
  show(next);
  $(`tab-${next}`).focus();
};

const onEscape = () => {
  if (document.activeElement === $("filter")) {
    $("filter").value = "";
    filterBy("");
    $("filter").blur();
  } else if (state.open !== null) shut();
};

const isWalking = (event) =>
  state.tab === "photos" && state.shown.length && (ARROWS[event.key] || ["Home", "End", "PageUp", "PageDown"].includes(event.key));

const onKey = (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const within = event.target;
  if (event.key === "Escape") onEscape();
  else if (within === $("filter")) {
    if (event.key === "Enter") $("filter").blur();
  } else if (event.key === "/") {
    event.preventDefault();
    $("filter").focus();
    $("filter").select();
  } else if (within === $("plane")) onMapKey(event);
  else if (within.role === "tab") onTabKey(event);
  else if (isWalking(event) && !$("detail").contains(within)) {
    event.preventDefault();
    walkSheet(event.key);
  }
};
