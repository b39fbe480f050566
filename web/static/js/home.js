// The front page: "/" goes to the search, and title and icon of the browser tab show the state.
const search = document.getElementById("search");
const typesText = (element) => element.matches("input, textarea, select, [contenteditable]");

document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || typesText(event.target)) return;
  event.preventDefault();
  search?.focus();
  search?.select();
});

document.addEventListener("htmx:after:swap", () => {
  const { title, icon } = document.getElementById("home").dataset;
  document.title = title;
  document.querySelector('link[rel="icon"]').href = icon;
});
