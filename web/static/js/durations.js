// How long something took, as web/pages/filters.py writes it.

export function duration(milliseconds) {
  const seconds = Math.max(0, milliseconds) / 1000;
  const two = (value) => String(value).padStart(2, "0");
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  const whole = Math.floor(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  return `${Math.floor(whole / 3600)} h ${two(Math.floor((whole % 3600) / 60))} min`;
}
