// Duplicates and failures.
const WORDS = { kept: "keep", exact: "same bytes", near: "near" };

const drawDuplicates = async () => {
  const room = $("duplicates");
  let found;
  if (!content.groups && !asked.has("groups")) room.replaceChildren("Comparing all photos…");
  try {
    found = await groupsOf();
  } catch {
    return room.replaceChildren(unreachable());
  }
  setCount("duplicates", found.groups.length + found.more);
  const groups = found.groups.filter((group) => group.some(([number]) => passes(keyOf(number))));
  const said = found.groups.length
    ? `Groups of photos that are the same or nearly so (a cosine of ${found.threshold} or more to the one to keep).`
    : `No two photos are alike enough (a cosine of ${found.threshold}) to be taken for one.`;
  room.replaceChildren(element("p", { className: "soft" }, said));
  for (const group of groups) {
    const row = element("div", { className: "photos" });
    for (const [number, kind, cosine] of group) {
      const says = kind === "kept" ? WORDS.kept : `${WORDS[kind]} ${cosine.toFixed(3)}`;
      row.append(photoButton(number, says, kind));
    }
    room.append(element("section", { className: "group" }, row));
  }
  if (found.more) room.append(element("p", { className: "soft" }, `${found.more} more groups: stepvec duplicates has all.`));
};

const drawFailures = () => {
  const { said, failures, more } = content.failures, room = $("failures"), byReason = new Map();
  room.replaceChildren(element("p", { className: "soft" }, said));
  failures.forEach((failure, place) => {
    if (!passes(failure.key)) return;
    if (!byReason.has(failure.reason)) byReason.set(failure.reason, []);
    byReason.get(failure.reason).push([photos + place, failure]);
  });
  for (const [reason, some] of byReason) {
    const row = element("div", { className: "photos" });
    for (const [number, { key, message }] of some) {
      const says = element("figcaption", {}, element("b", {}, key), element("br"), message);
      if (content.originals) says.append(element("br"), link(number, "the object"));
      row.append(element("figure", {}, pictureOf(number, `What can be seen of ${key}`), says));
    }
    room.append(element("h2", {}, `${reason}: ${some.length}`), row);
  }
  if (more) room.append(element("p", { className: "soft" }, `${more} more are in failures.jsonl.`));
};
