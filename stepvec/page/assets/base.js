// What all parts share: the content, the state, and small helpers. Texts go into the page as text, never as markup.
const content = JSON.parse(document.getElementById("content").textContent);
const photos = content.keys.length;
const TABS = ["photos", "map", "duplicates", "failures"];

// tab: what is shown. filter: lower-cased text. shown: numbers of the photos that pass it. current: the photo that the
// keyboard is at. open: the photo whose nearest are shown, or null.
const state = { tab: "photos", filter: "", shown: [], current: 0, open: null };

const $ = (id) => document.getElementById(id);

const element = (name, properties, ...children) => {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
};

const keyOf = (number) => (number < photos ? content.keys[number] : content.failures.failures[number - photos].key);

const nameOf = (key) => key.slice(key.lastIndexOf("/") + 1) || key;

const addressOf = (number) =>
  typeof content.pictures === "string" ? `${content.pictures}${number}${content.suffix}` : content.pictures[number];

const answerOf = async (path) => {
  const answer = await fetch(path);
  if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
  return answer.json();
};

// Answers to questions that were asked already: the nearest of a photo do not change.
const asked = new Map();

const once = (path) => {
  if (!asked.has(path)) {
    asked.set(path, answerOf(path));
    asked.get(path).catch(() => asked.delete(path));
  }
  return asked.get(path);
};

const nearOf = async (number) => (content.near ? content.near[number] : once(`near/${number}`));

const groupsOf = async () => content.groups ?? once("groups");

const unreachable = () => "The server does not answer: `stepvec view` has ended. Start it again.";

// A key passes if it begins with the filter, or if a folder or the name in it does.
const passes = (key) => {
  if (!state.filter) return true;
  const text = key.toLowerCase();
  return text.startsWith(state.filter) || text.includes(`/${state.filter}`);
};
