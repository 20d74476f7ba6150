// Numbers and hostile texts as people should see them.

const HIDDEN = /[\u0000-\u001f\u007f-\u009f\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\p{Cs}]/gu;

/** A text with its invisible characters made visible: a caption cannot hide or turn round what stands beside it. */
function visible(text) {
  return text.replace(HIDDEN, (mark) => {
    const code = mark.codePointAt(0);
    if (code < 32) return String.fromCodePoint(0x2400 + code);
    return `⟨U+${code.toString(16).toUpperCase().padStart(4, '0')}⟩`;
  });
}

/** A text of a run, isolated so that its direction ends with it. */
function words(text, tag = 'bdi', attributes = {}) {
  return make(tag, { dir: 'auto', ...attributes }, visible(text));
}

/** A name that may break after its separators, where a line is short. */
function nameOf(text, attributes = {}) {
  const parts = visible(text).split(/(?<=[-_/.:])/);
  return make('bdi', { dir: 'auto', ...attributes }, parts.flatMap((part, n) => (n ? [make('wbr'), part] : [part])));
}

/** A number as the other tables write it: three or four digits that matter. */
function show(value) {
  if (value === null || value === undefined) return '–';
  const text = Math.abs(value) < 10 ? value.toFixed(3) : value.toFixed(1);
  return text.replace('-', '−');
}

/** A difference with its sign. */
function signed(value) {
  return value > 0 ? `+${show(value)}` : show(value);
}

/** 5000 as 5,000. */
function count(number) {
  return number.toLocaleString('en');
}

/** 1 image, 2 images. */
function plural(number, noun) {
  return `${count(number)} ${noun}${number === 1 ? '' : 's'}`;
}

/** Seconds with two digits that matter. */
function seconds(value) {
  return value < 1 ? `${Number(value.toPrecision(2))} s` : `${value.toFixed(1)} s`;
}

/** The rank with = where somebody else has it too. */
function rankText(ranks, i) {
  const shared = ranks.some((rank, j) => j !== i && rank !== null && rank === ranks[i]);
  return ranks[i] === null ? '–' : `${ranks[i]}${shared ? '=' : ''}`;
}

const BETTER = { high: 'higher is better', low: 'lower is better', none: 'neither way is better' };
const ARROW = { high: '↑', low: '↓', none: '' };
