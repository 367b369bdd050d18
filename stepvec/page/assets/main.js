// Tabs, the filter, the colours, and the address, in which each view has a place: #/map/17. (Of #map a
// browser would scroll to the element of that name.)
const THEMES = { auto: ["light dark", "Auto", "as the system has them"], light: ["light", "Light", "light"], dark: ["dark", "Dark", "dark"] };

const isPhone = () => matchMedia("(max-width: 60rem)").matches;

const setCount = (tab, count) => ($(`tab-${tab}`).querySelector(".count").textContent = count.toLocaleString("en"));

const draw = () => {
  if (state.tab === "photos") layOutSheet();
  else if (state.tab === "map") layOutMap();
  else if (state.tab === "duplicates") drawDuplicates();
  else drawFailures();
};

const addressHere = () => `#/${state.tab}${state.open === null ? "" : `/${state.open}`}`;

const show = (tab) => {
  state.tab = tab;
  for (const name of TABS) {
    $(name).hidden = name !== tab;
    $(`tab-${name}`).setAttribute("aria-selected", String(name === tab));
    $(`tab-${name}`).tabIndex = name === tab ? 0 : -1;
  }
  history.replaceState(null, "", addressHere());
  draw();
};

// Show what a photo is like. The browser's way back leads to the photo before.
const goTo = (number, { replace = false } = {}) => {
  const was = state.open;
  state.open = state.current = number;
  if (was !== number) history[replace ? "replaceState" : "pushState"](null, "", addressHere());
  drawDetail();
  if (was === null && state.tab === "photos" && !isPhone()) layOutSheet();
  markSheet();
  drawMapSoon();
  if (isPhone()) $("detail").querySelector("button").focus();
  else if (was === null && state.tab === "photos") focusInSheet(number);
};

const shut = () => {
  state.open = null;
  history.pushState(null, "", addressHere());
  drawDetail();
  if (state.tab === "photos") {
    layOutSheet();
    focusInSheet(state.current);
  } else if (state.tab === "map") $("plane").focus();
  drawMapSoon();
};

const filterBy = (text) => {
  state.filter = text.trim().toLowerCase();
  state.shown = [];
  for (let number = 0; number < photos; number++) if (passes(content.keys[number])) state.shown.push(number);
  if (!state.shown.includes(state.current)) state.current = state.shown[0] ?? 0;
  const of = state.filter ? ` of ${photos.toLocaleString("en")}` : "";
  $("shown").textContent = `${state.shown.length.toLocaleString("en")}${of} photos`;
  draw();
};

// The folders of the keys, as what the filter may begin with; few enough to be a list.
const suggest = () => {
  const folders = new Map();
  for (const key of content.keys) {
    const parts = key.split("/").slice(0, -1);
    for (const part of parts) folders.set(part, (folders.get(part) ?? 0) + 1);
  }
  const most = [...folders].sort((one, other) => other[1] - one[1]).slice(0, 50);
  $("prefixes").replaceChildren(...most.map(([value]) => element("option", { value: `${value}/` })));
};

const setTheme = (theme) => {
  const [scheme, word, says] = THEMES[theme];
  document.documentElement.style.colorScheme = scheme;
  $("theme").textContent = word;
  $("theme").setAttribute("aria-label", `Colours: ${says}`);
  $("theme").dataset.theme = theme;
  drawMapSoon();
};

const nextTheme = () => {
  const names = Object.keys(THEMES);
  setTheme(names[(names.indexOf($("theme").dataset.theme) + 1) % names.length]);
};

const followAddress = () => {
  const [tab, number] = location.hash.slice(2).split("/"), photo = Number.parseInt(number, 10);
  state.open = photo >= 0 && photo < photos ? photo : null;
  if (state.open !== null) state.current = state.open;
  show(TABS.includes(tab) ? tab : "photos");
  drawDetail();
  if (state.tab === "photos") {
    layOutSheet();
    if (state.open !== null) focusInSheet(state.open, { focus: false });
  }
};

setCount("photos", photos);
setCount("failures", content.failures.failures.length + content.failures.more);
if (content.groups) setCount("duplicates", content.groups.groups.length + content.groups.more);
for (const tab of TABS) $(`tab-${tab}`).addEventListener("click", () => show(tab));
$("filter").addEventListener("input", (event) => filterBy(event.target.value));
$("theme").addEventListener("click", nextTheme);
listenToMap();
addEventListener("scroll", drawSheetSoon, { passive: true });
addEventListener("resize", draw);
addEventListener("popstate", followAddress);
addEventListener("keydown", onKey);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawMapSoon);
suggest();
setTheme("auto");
filterBy("");
followAddress();
