// Writes the tables of src/Zqfp.Tokenizers/Unicode by asking the reference implementation about every code point.
// Usage, in any folder:  npm install @anush008/tokenizers && node <repository>/eng/unicode-tables.mjs <repository>/src/Zqfp.Tokenizers/Unicode
import { createRequire } from 'node:module';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

const { Tokenizer } = createRequire(join(process.cwd(), 'package.json'))('@anush008/tokenizers');
const output = process.argv[2];
const isSurrogate = point => point >= 0xD800 && point <= 0xDFFF;
const points = Array.from({ length: 0x110000 }, (_, point) => point).filter(point => !isSurrogate(point));
const join4096 = list => Array.from({ length: Math.ceil(list.length / 4096) },
  (_, part) => String.fromCodePoint(...list.slice(4096 * part, 4096 * part + 4096))).join('');
const everything = join4096(points);
const hex = point => point.toString(16).toUpperCase();

/** A tokenizer with the given stages. */
function tokenizer(stages) {
  const model = { type: 'BPE', vocab: { a: 0 }, merges: [], fuse_unk: false, byte_fallback: false };
  const file = { version: '1.0', added_tokens: [], normalizer: null, pre_tokenizer: null, post_processor: null, decoder: null, model, ...stages };
  return Tokenizer.fromString(JSON.stringify(file));
}

/** The matches of a pattern, as strings. */
function matches(pattern, text) {
  const stage = { type: 'Split', pattern: { Regex: pattern }, behavior: 'Removed', invert: true };
  return tokenizer({ pre_tokenizer: stage }).getPreTokenizer().preTokenizeString(text).map(([match]) => match);
}

/** The code points of a class. */
const members = set => matches(`(?:${set})+`, everything).flatMap(run => Array.from(run, c => c.codePointAt(0)));

/** Ascending code points as ranges, which never reach over the surrogates. */
function ranges(list) {
  const found = [];
  for (const point of list) {
    const last = found.at(-1);
    if (last?.[1] === point - 1) last[1] = point; else found.push([point, point]);
  }
  return found.map(([first, last]) => first === last ? hex(first) : `${hex(first)}-${hex(last)}`).join(' ');
}

function difference(set, other) {
  const left = new Set(members(other));
  return ranges(members(set).filter(point => !left.has(point)));
}

const lines = [
  `OtherAlphabetic ${difference('\\p{Alpha}', '[\\p{L}\\p{Nl}]')}`,
  `OtherUppercase ${difference('[[:upper:]]', '\\p{Lu}')}`,
  `OtherLowercase ${difference('[[:lower:]]', '\\p{Ll}')}`,
];
const scripts = 'Han Hiragana Katakana Hangul Bopomofo Latin Greek Cyrillic Armenian Hebrew Arabic Syriac Thaana Devanagari Bengali Gurmukhi Gujarati Oriya '
  + 'Tamil Telugu Kannada Malayalam Sinhala Thai Lao Tibetan Myanmar Georgian Ethiopic Khmer Mongolian Common Inherited';
for (const script of scripts.split(' ')) lines.push(`${script} ${ranges(members(`\\p{${script}}`))}`);

// Code points that are equal where case does not count.
const cased = points.filter(point => {
  const c = String.fromCodePoint(point);
  return c.toLowerCase() !== c || c.toUpperCase() !== c;
});
const text = cased.map(point => String.fromCodePoint(point)).join('\n');
const seen = new Set();
const groups = [];
for (const point of cased) {
  if (seen.has(point)) continue;
  const group = matches(`(?i:\\x{${hex(point)}})`, text).filter(match => [...match].length === 1).map(match => match.codePointAt(0));
  if (group.length > 1) groups.push(group.map(hex).join('='));
  group.forEach(member => seen.add(member));
}
lines.push(`CaseFolds ${groups.join(' ')}`);

// Code points that fold to several; the capital sharp s has no upper case that shows it.
const several = cased.map(point => [point, Array.from(String.fromCodePoint(point).toUpperCase().toLowerCase(), c => c.codePointAt(0))])
  .filter(([, fold]) => fold.length > 1);
lines.push(`MultiFolds 1E9E=73+73 ${several.map(([point, fold]) => `${hex(point)}=${fold.map(hex).join('+')}`).join(' ')}`);
writeFileSync(join(output, 'UnicodeSets.txt'), lines.map(line => `${line}\n`).join(''));

// What the normalizers and BERT's stages know, which is older than the patterns' data.
const normalizer = settings => tokenizer({ normalizer: settings }).getNormalizer();
const bert = settings => normalizer({ type: 'BertNormalizer', clean_text: false, handle_chinese_chars: false, strip_accents: false, lowercase: false, ...settings });
const removedBy = stage => ranges(points.filter(point => stage.normalizeString(`a${String.fromCodePoint(point)}b`) === 'ab'));
const compatible = normalizer({ type: 'NFKD' });
const canonical = normalizer({ type: 'NFD' });
const decompositions = points.map(point => String.fromCodePoint(point))
  .filter(c => compatible.normalizeString(c) !== canonical.normalizeString(c))
  .map(c => `${hex(c.codePointAt(0))}=${Array.from(compatible.normalizeString(c), part => hex(part.codePointAt(0))).join('+')}`);
const cutter = tokenizer({ pre_tokenizer: { type: 'BertPreTokenizer' } }).getPreTokenizer();
const cuts = point => {
  const c = String.fromCodePoint(point);
  return !/\s/.test(c) && cutter.preTokenizeString(`a${c}b`).length === 3;
};
const tables = [
  `Compatibility ${decompositions.join(' ')}`,
  `CombiningMark ${removedBy(normalizer({ type: 'StripAccents' }))}`,
  `BertControl ${removedBy(bert({ clean_text: true }))}`,
  `BertAccent ${removedBy(bert({ strip_accents: true }))}`,
  `BertPunctuation ${ranges(points.filter(cuts))}`,
];
writeFileSync(join(output, 'NormalizationTables.txt'), tables.map(line => `${line}\n`).join(''));
