//! A derivation as it lies in the store: what it makes, and of which other derivations.
//!
//! The file is an expression of ATerm, and the same in all releases:
//! `Derive([outputs],[derivations],…)`. `nix derivation show` says the same in a shape that each
//! release changes.

/// The beginning of a derivation, which is all that is read of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Derivation {
    /// What it makes, by name of the output.
    pub outputs: Vec<Output>,
    /// Store paths of the derivations whose outputs it is made of.
    pub inputs: Vec<String>,
}

/// One output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// `out`, `dev`, ….
    pub name: String,
    /// Its store path; empty where that is not known before it is built.
    pub path: String,
    /// Its bytes were agreed on, so that no two builds of it differ.
    pub fixed: bool,
}

impl Derivation {
    /// Reads the text of a `.drv`. `None`: it is none, or of a kind that is not known.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let mut parser = Parser(text);
        parser.token(b"Derive(")?;
        let outputs = parser.list(|parser| {
            parser.token(b"(")?;
            let name = parser.string()?;
            parser.token(b",")?;
            let path = parser.string()?;
            parser.token(b",")?;
            parser.string()?;
            parser.token(b",")?;
            let hash = parser.string()?;
            parser.token(b")")?;
            Some(Output { name, path, fixed: !hash.is_empty() })
        })?;
        parser.token(b",")?;
        let inputs = parser.list(|parser| {
            parser.token(b"(")?;
            let path = parser.string()?;
            parser.token(b",")?;
            parser.list(Parser::string)?;
            parser.token(b")")?;
            Some(path)
        })?;
        Some(Self { outputs, inputs })
    }
}

struct Parser<'a>(&'a [u8]);

impl Parser<'_> {
    fn token(&mut self, token: &[u8]) -> Option<()> {
        self.0 = self.0.strip_prefix(token)?;
        Some(())
    }

    fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        self.token(b"[")?;
        let mut items = Vec::new();
        if self.token(b"]").is_some() {
            return Some(items);
        }
        loop {
            items.push(item(self)?);
            if self.token(b"]").is_some() {
                return Some(items);
            }
            self.token(b",")?;
        }
    }

    fn string(&mut self) -> Option<String> {
        self.token(b"\"")?;
        let mut bytes = Vec::new();
        loop {
            let (first, rest) = self.0.split_first()?;
            self.0 = rest;
            match first {
                b'"' => return String::from_utf8(bytes).ok(),
                b'\\' => {
                    let (escaped, rest) = self.0.split_first()?;
                    self.0 = rest;
                    bytes.push(match escaped {
                        b'n' => b'\n',
                        b'r' => b'\r',
                        b't' => b'\t',
                        other => *other,
                    });
                }
                byte => bytes.push(*byte),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_and_inputs_are_read() {
        let text = br#"Derive([("out","/nix/store/a-card","",""),("src","/nix/store/b-src","sha256","0a")],[("/nix/store/c-root.img.drv",["out"]),("/nix/store/d-zstd.drv",["bin","out"])],["/nix/store/e-build.sh"],"x86_64-linux","/bin/sh",["-euc","a \"b\"\n"],[("out","x")])"#;
        let derivation = Derivation::parse(text).unwrap();
        let [card, source] = &derivation.outputs[..] else { panic!("{derivation:?}") };
        assert_eq!((card.name.as_str(), card.path.as_str()), ("out", "/nix/store/a-card"));
        assert!(!card.fixed && source.fixed);
        assert_eq!(derivation.inputs, ["/nix/store/c-root.img.drv", "/nix/store/d-zstd.drv"]);
    }

    #[test]
    fn escapes_are_undone() {
        let text = br#"Derive([("o\"\\\n","","","")],[],"#;
        assert_eq!(Derivation::parse(text).unwrap().outputs[0].name, "o\"\\\n");
    }

    #[test]
    fn what_is_cut_or_of_another_kind_is_none() {
        for text in [
            &b""[..],
            b"Derive(",
            b"Derive([(\"out\",\"/x",
            b"Derive([],[(\"x\"",
            b"Derive([],[",
            b"DrvWithVersion(\"xp-dyn-drv\",[],[],",
            b"Derive([(\"out\",\"/x\\",
        ] {
            assert_eq!(Derivation::parse(text), None, "{}", String::from_utf8_lossy(text));
        }
    }
}
