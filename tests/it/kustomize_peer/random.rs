//! Where generated overlays get their choices: a seeded generator and lists of odd words.

/// Names as YAML writes them: all are strings.
pub const NAMES: [&str; 16] = [
    "app",
    "web",
    "db",
    "api-1",
    "\"yes\"",
    "\"012\"",
    "\"1e3\"",
    "'on'",
    "\"0777\"",
    "x.y",
    "\"12\"",
    "\"2020-01-01\"",
    "\"null\"",
    "名前",
    "\"1.10\"",
    "\"~\"",
];
/// Texts as YAML writes them: all are strings.
pub const STRINGS: [&str; 68] = [
    "plain",
    "\"yes\"",
    "'on'",
    "\"Off\"",
    "\"y\"",
    "\"N\"",
    "\"0777\"",
    "\"0o17\"",
    "\"0b11\"",
    "\"1e3\"",
    "\"1E-3\"",
    "\"012\"",
    "\"09\"",
    "\"~\"",
    "\"null\"",
    "\"Null\"",
    "\"\"",
    "''",
    "é",
    "\"日本語\"",
    "\"\\U0001F600 face\"",
    "\" lead\"",
    "\"trail \"",
    "\"a: b\"",
    "\"a #b\"",
    "\"#b\"",
    "\"a:\"",
    "\":a\"",
    "\"true\"",
    "\"1.5\"",
    "\"0x1f\"",
    "\"1_000\"",
    "\".inf\"",
    "\".nan\"",
    "\"-\"",
    "\"- a\"",
    "\"[x\"",
    "\"{x}\"",
    "\"*a\"",
    "\"&a\"",
    "\"!a\"",
    "\"%a\"",
    "\"@a\"",
    "\"`a\"",
    "\"multi\\nline\\n\"",
    "\"no end\\nline\"",
    "\"two ends\\n\\n\"",
    "\"  indented\\nline\"",
    "\"tab\\there\"",
    "\"2020-01-01\"",
    "\"12:30:45\"",
    "\"=\"",
    "\"<<\"",
    "'it''s'",
    "\"a \\\"q\\\" \\\\ b\"",
    "\"\\n\"",
    "\"line \\nblank behind\"",
    "\"a long line of many words that goes on and on, past eighty columns and past a hundred, until it has to be folded: see\"",
    "nginx",
    "app",
    "8080",
    "\"1234567890123456789\"",
    "\"[a, b]\"",
    "\"{a: b}\"",
    "yes",
    "on",
    "$(VAR)",
    "x-$(VAR)-$(OTHER)",
];
/// Scalars that are no strings, or look so.
pub const OTHERS: [&str; 28] = [
    "yes",
    "on",
    "off",
    "n",
    "0777",
    "1e3",
    "012",
    "~",
    "null",
    "true",
    "1.5",
    "0x1f",
    "1_000",
    "-7",
    "1.0",
    "2020-01-01",
    "1234567890123456789",
    "{}",
    "[]",
    "1e100",
    "",
    "0o17",
    "1.50",
    "!!str 5",
    "2020-01-01T10:00:00+02:00",
    "+1",
    "18446744073709551615",
    "False",
];
pub const IMAGES: [&str; 8] = [
    "nginx",
    "nginx:1.25",
    "ghcr.io/acme/app:1.0",
    "localhost:5000/a/b:v1@sha256:24a0c4b4a4c0eb97a1aabb8e29f18e917d05abfe1b7a7c07857230879ce7d3d3",
    "redis@sha256:24a0c4b4a4c0eb97a1aabb8e29f18e917d05abfe1b7a7c07857230879ce7d3d3",
    "busybox:latest",
    "\"1.10\"",
    "app:$(VAR)",
];
pub const NAMESPACES: [&str; 6] = ["ns", "\"yes\"", "prod-1", "\"12\"", "default", "\"012\""];

/// A xorshift generator.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        let mut random = Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        for _ in 0..8 {
            random.next();
        }
        random
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from((self.next() >> 33) % end as u64).unwrap()
    }

    pub fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub fn pick<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }

    pub fn string(&mut self) -> &'static str {
        self.pick(&STRINGS)
    }

    /// Returns a string of one line.
    pub fn word(&mut self) -> &'static str {
        self.pick(&STRINGS[..44])
    }

    pub fn scalar(&mut self) -> &'static str {
        if self.once_in(3) {
            self.pick(&OTHERS)
        } else {
            self.string()
        }
    }

    pub fn name(&mut self) -> &'static str {
        self.pick(&NAMES)
    }

    pub fn namespace(&mut self) -> &'static str {
        self.pick(&NAMESPACES)
    }
}
