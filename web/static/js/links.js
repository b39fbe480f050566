// Addresses of lines: #unit-tests-L120 or #unit-tests-L120-L140 name the step too; #L120 is of the shown step.

const FORM = /^#(?:(.+?)-)?L(\d{1,15})(?:-L(\d{1,15}))?$/;

export function linkedLines() {
  const found = FORM.exec(decodeURIComponent(location.hash));
  if (!found) return null;
  const [first, last] = [Number(found[2]), Number(found[3] ?? found[2])];
  return { slug: found[1], first: Math.min(first, last), last: Math.max(first, last) };
}

export function hashOf(slug, first, last = first) {
  return `#${slug}-L${first}${last === first ? "" : `-L${last}`}`;
}

// The address of a line, complete: it opens this step whatever the page would show by itself.
export function addressOf(log, first, last) {
  const query = new URLSearchParams(location.search);
  query.set("step", log.dataset.step);
  return `${location.pathname}?${query}${hashOf(log.dataset.slug, first, last)}`;
}

// Opens the step that the address names, if the page shows another. Returns whether it does.
export function opensOtherStep(log) {
  const slug = linkedLines()?.slug;
  if (!slug || slug === log?.dataset.slug) return false;
  const link = document.querySelector(`#run-steps a[data-slug="${CSS.escape(slug)}"]`);
  if (!link) return false;
  location.replace(`${link.href}${location.hash}`);
  return true;
}

// Where the reader is, for Reload and Back: kept in the history's entry.
export function keepPlace(place) {
  history.replaceState({ ...history.state, log: place }, "");
}

export function keptPlace() {
  return history.state?.log;
}
