// Which of the languages that there are the reader wants, English where there is no other.
const wanted = navigator.languages.map((language) => language.split('-')[0] ?? '');

export const inLanguage = <Texts>(languages: Record<string, Texts> & {en: Texts}): Texts =>
  languages[wanted.find((language) => language in languages) ?? 'en'] ?? languages.en;
