"use strict";
const state = JSON.parse(document.getElementById("state").textContent);
const articles = [...document.querySelectorAll("article")];
const by = document.getElementById("by");
// Decisions by file; those about pictures that are not on this page are carried through to the download.
const decisions = new Map(
  state.decided.map((row) => [row[0], Object.fromEntries(state.columns.map((name, place) => [name, row[place]]))]),
);
let unsaved = false;

function show(article) {
  const decision = decisions.get(state.suspects[article.dataset.number].file);
  if (decision) article.dataset.decision = decision.decision;
  else delete article.dataset.decision;
  for (const button of article.querySelectorAll("button"))
    button.setAttribute("aria-pressed", String(button.dataset.decision === decision?.decision));
  const decided = state.suspects.filter((one) => decisions.has(one.file)).length;
  document.getElementById("progress").textContent = `${decided} of ${articles.length} decided${unsaved ? ", not saved" : ""}`;
}

function decide(article, kind) {
  const file = state.suspects[article.dataset.number].file;
  const label = article.querySelector(".label").value.trim();
  if (kind === "relabel" && !label) return article.querySelector(".label").focus();
  if (kind) {
    decisions.set(file, {
      file,
      decision: kind,
      label: kind === "relabel" ? label : "",
      by: by.value.trim(),
      why: article.querySelector(".why").value.trim(),
    });
  } else decisions.delete(file);
  unsaved = true;
  show(article);
}

function go(article) {
  if (!article) return;
  article.focus({ preventScroll: true });
  article.scrollIntoView({ block: "start" });
}

function csv() {
  const cell = (text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const rows = [...decisions.values()].sort((a, b) => (a.file < b.file ? -1 : 1));
  return [state.columns, ...rows.map((row) => state.columns.map((name) => row[name]))]
    .map((row) => row.map(cell).join(",") + "\n")
    .join("");
}

function save() {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([csv()], { type: "text/csv" }));
  link.download = "decisions.csv";
  link.click();
  URL.revokeObjectURL(link.href);
  unsaved = false;
  articles.forEach(show);
}

const current = () => document.activeElement?.closest("article");
const kinds = { 1: "keep", 2: "relabel", 3: "drop", 0: null };
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const article = current();
  if (event.target.matches("input")) {
    if (event.key === "Enter" || event.key === "Escape") go(article);
    return;
  }
  const place = articles.indexOf(article);
  if (event.key === "j") go(articles[place + 1]);
  else if (event.key === "k") go(articles[Math.max(0, place - 1)]);
  else if (event.key === "s") save();
  else if (event.key in kinds && article) {
    decide(article, kinds[event.key]);
    if (kinds[event.key]) go(articles[place + 1]);
  } else return;
  event.preventDefault();
});

for (const article of articles) {
  const decision = decisions.get(state.suspects[article.dataset.number].file);
  if (decision?.label) article.querySelector(".label").value = decision.label;
  if (decision?.why) article.querySelector(".why").value = decision.why;
  for (const button of article.querySelectorAll("button"))
    button.addEventListener("click", () => decide(article, button.dataset.decision));
  // What is typed after the decision belongs to it too.
  for (const input of article.querySelectorAll("input"))
    input.addEventListener("change", () => {
      const made = decisions.get(state.suspects[article.dataset.number].file);
      if (input.matches(".label") && input.value.trim()) decide(article, "relabel");
      else if (made) decide(article, made.decision);
    });
  show(article);
}
document.getElementById("save").addEventListener("click", save);
window.addEventListener("beforeunload", (event) => {
  if (unsaved) event.preventDefault();
});
