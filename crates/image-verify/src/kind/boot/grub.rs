//! The words of a configuration of GRUB. GRUB manual, "Shell-like scripting".
//!
//! What a condition, a loop or a function does is not followed: all commands are read, in their
//! order.

use std::{iter::Peekable, str::Chars};

/// The longest word that variables make: they may have each other as values.
const MAX_EXPANDED: usize = 64 << 10;

/// A command: words up to the end of a line, `;`, `{`, `}`, `&`, `|`, `<` or `>`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Command {
    /// In its file, counted from 1: of its first word.
    pub(crate) line: usize,
    /// How many blocks are open around it.
    pub(crate) depth: usize,
    /// How many conditions and loops are open around it: perhaps it is not run, or often.
    pub(crate) conditions: usize,
    /// A block follows, as after `menuentry`.
    pub(crate) opens: bool,
    /// Its words, without those of conditions and loops before it.
    pub(crate) words: Vec<Word>,
    /// Why GRUB cannot read it.
    pub(crate) broken: Option<&'static str>,
}

/// A word: parts that stand one after another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Word(Vec<Part>);

/// A part of a word.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    /// The name of a variable.
    Variable(String),
}

/// Words that a command may come after in the same line.
const BEFORE: [&str; 8] = ["if", "then", "elif", "else", "while", "until", "do", "!"];

/// The commands of a file.
pub(crate) fn commands(text: &str) -> Commands<'_> {
    Commands { chars: text.chars().peekable(), line: 1, depth: 0, conditions: 0, done: false }
}

/// The commands of a file, in their order.
pub(crate) struct Commands<'t> {
    chars: Peekable<Chars<'t>>,
    line: usize,
    depth: usize,
    conditions: usize,
    done: bool,
}

impl Command {
    /// The first word, where no variable is in it.
    pub(crate) fn name(&self) -> &str {
        self.words.first().and_then(Word::text).unwrap_or_default()
    }

    /// The other words.
    pub(crate) fn arguments(&self) -> &[Word] {
        self.words.get(1..).unwrap_or_default()
    }
}

impl Word {
    /// The word, where no variable is in it.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.0[..] {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// The word, with each variable as `value` has it; `${name}` where it has none. What comes
    /// after [`MAX_EXPANDED`] bytes is left out.
    pub(crate) fn expand(&self, value: impl Fn(&str) -> Option<String>) -> String {
        let mut expanded = String::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => expanded.push_str(text),
                Part::Variable(name) => match value(name) {
                    Some(text) => expanded.push_str(&text),
                    None => expanded.push_str(&format!("${{{name}}}")),
                },
            }
            if expanded.len() > MAX_EXPANDED {
                break;
            }
        }
        expanded
    }

    /// The word, with variables as `${name}`.
    pub(crate) fn spelled(&self) -> String {
        self.expand(|_| None)
    }

    fn push(&mut self, c: char) {
        match self.0.last_mut() {
            Some(Part::Text(text)) => text.push(c),
            _ => self.0.push(Part::Text(c.into())),
        }
    }
}

/// A command line of these words, as GRUB hands it on: in quotes where a space is in one.
pub(crate) fn line<'w>(words: impl IntoIterator<Item = &'w String>) -> String {
    let quoted = |word: &String| match word.contains(' ') {
        true => format!("\"{word}\""),
        false => word.clone(),
    };
    words.into_iter().map(quoted).collect::<Vec<_>>().join(" ")
}

impl Commands<'_> {
    fn next_char(&mut self) -> Option<char> {
        let c = self.chars.next()?;
        self.line += usize::from(c == '\n');
        Some(c)
    }

    /// A variable after `$`; the sign itself, where none follows.
    fn variable(&mut self, word: &mut Word) {
        let braced = self.chars.next_if_eq(&'{').is_some();
        let mut name = String::new();
        if let Some(special) = self.chars.next_if(|c| "?#*@".contains(*c)) {
            name.push(special);
        } else {
            let is_name = |c: &char| c.is_ascii_alphanumeric() || *c == '_';
            while let Some(c) = self.chars.next_if(is_name) {
                name.push(c);
            }
        }
        if braced {
            self.chars.next_if_eq(&'}');
        }
        if name.is_empty() {
            word.push('$');
        } else {
            word.0.push(Part::Variable(name));
        }
    }

    /// Takes the words of conditions and loops from a command, and counts those that are open.
    fn finish(&mut self, mut command: Command) -> Command {
        let keyword = |word: &Word| word.text().is_some_and(|word| BEFORE.contains(&word));
        let skipped = command.words.iter().take_while(|word| keyword(word)).count();
        for word in command.words.drain(..skipped) {
            let opens = matches!(word.text(), Some("if" | "while" | "until"));
            self.conditions += usize::from(opens);
        }
        match command.name() {
            "for" | "case" => self.conditions += 1,
            "fi" | "done" | "esac" => self.conditions = self.conditions.saturating_sub(1),
            _ => {}
        }
        command.conditions = self.conditions;
        command
    }

    /// What is between double quotes. False if they do not end.
    fn double_quoted(&mut self, word: &mut Word) -> bool {
        while let Some(c) = self.next_char() {
            match c {
                '"' => return true,
                '$' => self.variable(word),
                '\\' => match self.next_char() {
                    None => return false,
                    Some('\n') => {}
                    Some(c) => {
                        // Only these lose the stroke.
                        if !"$\\\"".contains(c) {
                            word.push('\\');
                        }
                        word.push(c);
                    }
                },
                c => word.push(c),
            }
        }
        false
    }

    fn single_quoted(&mut self, word: &mut Word) -> bool {
        while let Some(c) = self.next_char() {
            if c == '\'' {
                return true;
            }
            word.push(c);
        }
        false
    }

    /// The next word; `None` where the next character is none of a word's.
    fn word(&mut self) -> Option<(Word, bool)> {
        let mut word = Word::default();
        let (mut any, mut whole) = (false, true);
        while let Some(c) =
            self.chars.next_if(|c| !c.is_ascii_whitespace() && !"{}|&;<>".contains(*c))
        {
            any = true;
            match c {
                // `$"…"` is a text that is translated.
                '$' if self.chars.peek() == Some(&'"') => {}
                '$' => self.variable(&mut word),
                '"' => whole &= self.double_quoted(&mut word),
                '\'' => whole &= self.single_quoted(&mut word),
                '\\' => match self.next_char() {
                    Some('\n') | None => {}
                    Some(c) => word.push(c),
                },
                c => word.push(c),
            }
        }
        any.then_some((word, whole))
    }
}

impl Iterator for Commands<'_> {
    type Item = Command;

    fn next(&mut self) -> Option<Command> {
        let mut command = Command::default();
        // Bounded: each turn takes a character, or ends.
        while !self.done {
            (command.depth, command.line) = if command.words.is_empty() {
                (self.depth, self.line)
            } else {
                (command.depth, command.line)
            };
            match self.chars.peek() {
                Some(' ' | '\t' | '\r') => _ = self.next_char(),
                Some('#') => while self.chars.next_if(|c| *c != '\n').is_some() {},
                Some('{') => {
                    self.next_char();
                    self.depth += 1;
                    command.opens = true;
                    return Some(self.finish(command));
                }
                Some('}') => {
                    // Text before it on the same line is a command by itself.
                    if !command.words.is_empty() {
                        return Some(self.finish(command));
                    }
                    self.next_char();
                    if self.depth == 0 {
                        command.broken = Some("} without {");
                        return Some(command);
                    }
                    self.depth -= 1;
                }
                Some('\n' | ';' | '|' | '&' | '<' | '>') => {
                    self.next_char();
                    if !command.words.is_empty() {
                        return Some(self.finish(command));
                    }
                }
                Some(_) => match self.word() {
                    // A stroke at the end of a line alone is no word.
                    Some((word, whole)) => {
                        command.words.push(word);
                        if !whole {
                            command.broken = Some("a quote that does not end");
                        }
                    }
                    // White space of another kind.
                    None => _ = self.next_char(),
                },
                None => {
                    self.done = true;
                    if self.depth > 0 && command.broken.is_none() {
                        command.broken = Some("{ without }");
                    }
                    let any = !command.words.is_empty() || command.broken.is_some();
                    return any.then(|| self.finish(command));
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(usize, usize, Vec<String>)> {
        commands(text)
            .inspect(|command| assert_eq!(command.broken, None, "{text}"))
            .map(|c| (c.line, c.depth, c.words.iter().map(Word::spelled).collect()))
            .collect()
    }

    #[test]
    fn words_are_split_as_grub_does() {
        for (text, want) in [
            ("linux /a b", vec!["linux", "/a", "b"]),
            ("linux\t\"/a b\" 'c $d' e\\ f", vec!["linux", "/a b", "c $d", "e f"]),
            ("echo a#b # c", vec!["echo", "a#b"]),
            ("echo \"a\\$b\\n\\\\\" $\"c\"", vec!["echo", "a$b\\n\\", "c"]),
            ("linux /a \\\n b", vec!["linux", "/a", "", "b"]),
            ("linux /a\\\nb", vec!["linux", "/ab"]),
            ("set x=$y${z}-\"$w\"", vec!["set", "x=${y}${z}-${w}"]),
            ("  # nothing\n\n", vec![]),
            ("if ! true", vec!["true"]),
        ] {
            let words: Vec<String> = read(text).into_iter().flat_map(|(.., words)| words).collect();
            assert_eq!(words, want, "{text}");
        }
    }

    #[test]
    fn blocks_are_counted() {
        let text = "set a=1;set b=2\nmenuentry 'x {' --id y {\n linux /k\n}\nif a; then b; fi\n";
        let found = read(text);
        let lines: Vec<_> = found.iter().map(|(line, depth, w)| (*line, *depth, &*w[0])).collect();
        assert_eq!(
            lines,
            [
                (1, 0, "set"),
                (1, 0, "set"),
                (2, 0, "menuentry"),
                (3, 1, "linux"),
                (5, 0, "a"),
                (5, 0, "b"),
                (5, 0, "fi"),
            ]
        );
        assert!(commands(text).nth(2).unwrap().opens);
        let found = commands("menuentry x{linux /k}").map(|c| c.name().to_owned());
        assert_eq!(found.collect::<Vec<_>>(), ["menuentry", "linux"]);
    }

    #[test]
    fn conditions_are_known() {
        let text = "a\nif b; then\n c\nelse\n d\nfi\ne\nfor x in 1 2; do f; done\ng";
        let found: Vec<_> = commands(text)
            .filter(|command| command.name().len() == 1)
            .map(|command| (command.name().to_owned(), command.conditions > 0))
            .collect();
        let want = [("a", false), ("b", true), ("c", true), ("d", true), ("e", false)];
        let want = want.into_iter().chain([("f", true), ("g", false)]);
        assert_eq!(found, want.map(|(name, c)| (name.to_owned(), c)).collect::<Vec<_>>());
    }

    #[test]
    fn what_does_not_end_is_told() {
        for (text, want) in [
            ("a 'b\nc", "a quote that does not end"),
            ("a \"b\\", "a quote that does not end"),
            ("menuentry x {\n linux /k\n", "{ without }"),
            ("linux /k\n}\n", "} without {"),
        ] {
            let found: Vec<_> = commands(text).filter_map(|command| command.broken).collect();
            assert_eq!(found, [want], "{text}");
        }
    }

    #[test]
    fn variables_are_expanded() {
        let command = commands("linux (${root})/k ${isoboot} a=$b").next().unwrap();
        assert_eq!(command.arguments()[0].text(), None);
        let value = |name: &str| (name == "root").then(|| "cd0".to_owned());
        assert_eq!(command.arguments()[0].expand(value), "(cd0)/k");
        let words: Vec<_> = command.words.iter().map(Word::spelled).collect();
        assert_eq!(line(&words), "linux (${root})/k ${isoboot} a=${b}");
        assert_eq!(line(&["a b".to_owned()]), "\"a b\"");
    }

    proptest::proptest! {
        /// Any text ends, in a time that grows with its length.
        #[test]
        fn any_text_ends(text in "[ a\n\\\\'\"${};#|]{0,64}") {
            assert!(commands(&text).count() <= text.len() + 1);
        }
    }
}
