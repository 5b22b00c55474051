//! Few colours a user may set, expanded into the styles of roles; and the glyph set.
//!
//! Widgets ask for a `Role`, never for a colour. By default only the sixteen colours of the terminal are
//! used and its own foreground and background are left alone, so light and dark screens both stay
//! readable. Reverse video together with a word is reserved for HIGH and CRITICAL and for the
//! environment; everything that colour says, a glyph or a word says too.

use std::collections::BTreeMap;

use ratatui::style::{Color, Modifier, Style};
use thiserror::Error;

/// How grave something is, as the screen orders it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// For the record.
    Info,
    /// Worth a look in working hours.
    Low,
    /// Worth a look today.
    Medium,
    /// Needs a person now.
    High,
    /// Needs everyone now.
    Critical,
}

impl Severity {
    /// The word that always stands beside the colour; loud ones in capitals.
    pub fn word(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "HIGH",
            Self::Critical => "CRITICAL",
        }
    }
}

/// What a piece of the screen is, from which its style follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Ordinary text: the terminal's own colours.
    Text,
    /// Headings and what a reader should see first.
    Strong,
    /// Explanations, units, what may be skipped.
    Muted,
    /// The words in a section rule.
    Title,
    /// Rules, borders and dividers.
    Rule,
    /// The cursor mark, the current tab, the border of the pane that has the keys.
    Focused,
    /// Objects marked for an action.
    Marked,
    /// A key in the hint line.
    Key,
    /// Column heads.
    Head,
    /// Text being typed.
    Input,
    /// How grave it is. HIGH and CRITICAL only are reversed.
    Severity(Severity),
    /// In order, allowed, converged.
    Good,
    /// Wants attention.
    Warn,
    /// Failed, denied, overdue.
    Bad,
    /// Data older than it should be.
    Stale,
    /// The word for a production environment in row 1.
    EnvironmentProd,
    /// The word for a staging environment.
    EnvironmentStaging,
    /// The word for any other environment.
    EnvironmentOther,
    /// The used part of a life bar, or any bar.
    Bar,
    /// The open part of a life bar.
    BarRest,
    /// A baseline or the normal band behind a figure.
    Band,
    /// Lines of a change: what comes.
    Added,
    /// Lines of a change: what goes.
    Removed,
    /// Someone else's words, behind the quote gutter.
    Quote,
    /// Heat strip cells, level 0 to 4.
    Heat(u8),
    /// A passing notice.
    Toast,
}

/// The colours a user may set; all else is derived. `Color::Reset` leaves the terminal's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Palette {
    /// Focus, keys and titles.
    pub accent: Color,
    /// In order.
    pub good: Color,
    /// Wants attention.
    pub warn: Color,
    /// Failed, denied, grave.
    pub bad: Color,
    /// Bars and sparklines.
    pub figure: Color,
    /// Production's background colour in row 1.
    pub prod: Color,
    /// Staging's.
    pub staging: Color,
}

/// The themes that come with the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ThemeName {
    /// Green, yellow and red of the terminal.
    #[default]
    Default,
    /// Good is blue and bad is orange, for eyes that do not tell red from green.
    BlueOrange,
    /// No dimming, bold instead of colour differences.
    HighContrast,
    /// No colour at all; also what `NO_COLOR` asks for.
    Mono,
}

/// Why a theme could not be made from the settings.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ThemeError {
    /// No theme of that name.
    #[error("unknown theme `{0}`; known: default, blue-orange, high-contrast, mono")]
    UnknownTheme(String),
    /// No colour role of that name.
    #[error("unknown colour `{0}`; known: accent, good, warn, bad, figure, prod, staging")]
    UnknownSlot(String),
    /// Not a colour.
    #[error(
        "`{value}` is not a colour (for `{slot}`); write a name such as `light-blue`, an index, or `#rrggbb`"
    )]
    BadColour {
        /// Which of the palette's colours.
        slot: String,
        /// What stood there.
        value: String,
    },
}

impl ThemeName {
    /// From the settings' spelling.
    pub fn parse(name: &str) -> Result<Self, ThemeError> {
        match name {
            "default" | "" => Ok(Self::Default),
            "blue-orange" => Ok(Self::BlueOrange),
            "high-contrast" => Ok(Self::HighContrast),
            "mono" => Ok(Self::Mono),
            other => Err(ThemeError::UnknownTheme(other.to_owned())),
        }
    }
}

/// Signs that the screens use, in one place so that `--ascii` is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Glyphs {
    /// Only ASCII may be written.
    pub ascii: bool,
    /// The cursor in a list, and the current tab.
    pub cursor: &'static str,
    /// An object marked for an action.
    pub mark: &'static str,
    /// Needs a person now.
    pub alert: &'static str,
    /// Breaks a rule, not urgent.
    pub notice: &'static str,
    /// Live, done.
    pub dot: &'static str,
    /// Not yet, old.
    pub ring: &'static str,
    /// Paused.
    pub paused: &'static str,
    /// Horizontal rule.
    pub horizontal: &'static str,
    /// Vertical rule.
    pub vertical: &'static str,
    /// Corners: top left, top right, bottom left, bottom right.
    pub corners: [&'static str; 4],
    /// Left of someone else's words.
    pub quote: &'static str,
    /// For text that was cut.
    pub cut: &'static str,
    /// From one state to the next.
    pub arrow: &'static str,
    /// Sorted upwards, downwards.
    pub sort: [&'static str; 2],
    /// Stands for the characters of a masked field.
    pub masked: &'static str,
}

impl Glyphs {
    /// Box drawing and block elements.
    pub const UNICODE: Self = Self {
        ascii: false,
        cursor: "▸",
        mark: "✓",
        alert: "▲",
        notice: "◆",
        dot: "●",
        ring: "◌",
        paused: "‖",
        horizontal: "─",
        vertical: "│",
        corners: ["┌", "┐", "└", "┘"],
        quote: "▏",
        cut: "…",
        arrow: "→",
        sort: ["↑", "↓"],
        masked: "•",
    };
    /// For terminals and fonts that have nothing else.
    pub const ASCII: Self = Self {
        ascii: true,
        cursor: ">",
        mark: "+",
        alert: "!",
        notice: "%",
        dot: "*",
        ring: "o",
        paused: "=",
        horizontal: "-",
        vertical: "|",
        corners: ["+", "+", "+", "+"],
        quote: "|",
        cut: "~",
        arrow: ">",
        sort: ["^", "v"],
        masked: "*",
    };
}

/// A palette, a way to stress without colour, and a glyph set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Theme {
    name: ThemeName,
    palette: Palette,
    /// Signs to draw with.
    pub glyphs: Glyphs,
}

impl Default for Theme {
    fn default() -> Self {
        Self::new(ThemeName::Default, false)
    }
}

impl Theme {
    /// A theme as it comes; `ascii` takes the plain glyphs.
    pub fn new(name: ThemeName, ascii: bool) -> Self {
        let base = Palette {
            accent: Color::Cyan,
            good: Color::Green,
            warn: Color::Yellow,
            bad: Color::Red,
            figure: Color::Cyan,
            prod: Color::Red,
            staging: Color::Yellow,
        };
        let palette = match name {
            ThemeName::Default => base,
            // 208 is the one orange that every 256-colour terminal has; the sixteen have none.
            ThemeName::BlueOrange => Palette {
                accent: Color::Cyan,
                good: Color::Blue,
                warn: Color::Yellow,
                bad: Color::Indexed(208),
                figure: Color::Blue,
                prod: Color::Indexed(208),
                staging: Color::Blue,
            },
            ThemeName::HighContrast => Palette {
                accent: Color::Reset,
                figure: Color::Reset,
                ..base
            },
            ThemeName::Mono => Palette {
                accent: Color::Reset,
                good: Color::Reset,
                warn: Color::Reset,
                bad: Color::Reset,
                figure: Color::Reset,
                prod: Color::Reset,
                staging: Color::Reset,
            },
        };
        Self {
            name,
            palette,
            glyphs: if ascii {
                Glyphs::ASCII
            } else {
                Glyphs::UNICODE
            },
        }
    }

    /// A theme from the settings: its name, single colours over it, `ascii`, and whether `NO_COLOR` is set.
    ///
    /// `NO_COLOR` wins over every colour, but wrong settings are still errors.
    pub fn from_settings(
        name: &str,
        colours: &BTreeMap<String, String>,
        ascii: bool,
        no_color: bool,
    ) -> Result<Self, ThemeError> {
        let mut theme = Self::new(ThemeName::parse(name)?, ascii);
        for (slot, value) in colours {
            let colour: Color = value.parse().map_err(|_| ThemeError::BadColour {
                slot: slot.clone(),
                value: value.clone(),
            })?;
            let palette = &mut theme.palette;
            *match slot.as_str() {
                "accent" => &mut palette.accent,
                "good" => &mut palette.good,
                "warn" => &mut palette.warn,
                "bad" => &mut palette.bad,
                "figure" => &mut palette.figure,
                "prod" => &mut palette.prod,
                "staging" => &mut palette.staging,
                other => return Err(ThemeError::UnknownSlot(other.to_owned())),
            } = colour;
        }
        Ok(if no_color {
            Self::new(ThemeName::Mono, ascii)
        } else {
            theme
        })
    }

    /// The style of a role.
    pub fn style(&self, role: Role) -> Style {
        let plain = Style::new();
        let p = &self.palette;
        let fg = |colour: Color| {
            if colour == Color::Reset {
                plain
            } else {
                plain.fg(colour)
            }
        };
        let bold = |colour: Color| fg(colour).add_modifier(Modifier::BOLD);
        let loud = |colour: Color| bold(colour).add_modifier(Modifier::REVERSED);
        // Dimming, not "bright black": that one is invisible on some dark palettes.
        let muted = match self.name {
            ThemeName::HighContrast => plain,
            _ => plain.add_modifier(Modifier::DIM),
        };
        match role {
            Role::Text | Role::Toast | Role::EnvironmentOther | Role::Severity(Severity::Info) => {
                plain
            }
            Role::Strong | Role::Head => plain.add_modifier(Modifier::BOLD),
            Role::Muted | Role::Rule | Role::BarRest | Role::Stale | Role::Band => muted,
            Role::Title | Role::Focused | Role::Key => bold(p.accent),
            Role::Marked => bold(p.accent).add_modifier(Modifier::UNDERLINED),
            Role::Input => plain.add_modifier(Modifier::UNDERLINED),
            Role::Good | Role::Added => fg(p.good),
            Role::Warn | Role::Severity(Severity::Low) => fg(p.warn),
            Role::Severity(Severity::Medium) => bold(p.warn),
            Role::Bad => bold(p.bad),
            Role::Removed => fg(p.bad),
            Role::Severity(Severity::High | Severity::Critical) => loud(p.bad),
            Role::EnvironmentProd => loud(p.prod),
            Role::EnvironmentStaging => bold(p.staging),
            Role::Bar => fg(p.figure),
            Role::Quote => plain.add_modifier(Modifier::ITALIC),
            Role::Heat(level) => match level {
                0 => muted,
                1 | 2 => fg(p.figure),
                3 => fg(p.warn),
                _ => bold(p.bad),
            },
        }
    }

    /// The style of an environment's word in row 1, by the environment's name.
    pub fn environment(&self, name: &str) -> Style {
        let lower = name.to_ascii_lowercase();
        self.style(match lower.as_str() {
            n if n.starts_with("prod") || n == "live" => Role::EnvironmentProd,
            n if n.starts_with("stag") || n.starts_with("pre") => Role::EnvironmentStaging,
            _ => Role::EnvironmentOther,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [ThemeName; 4] = [
        ThemeName::Default,
        ThemeName::BlueOrange,
        ThemeName::HighContrast,
        ThemeName::Mono,
    ];

    const ROLES: [Role; 24] = [
        Role::Text,
        Role::Strong,
        Role::Muted,
        Role::Title,
        Role::Rule,
        Role::Focused,
        Role::Marked,
        Role::Key,
        Role::Head,
        Role::Input,
        Role::Severity(Severity::Low),
        Role::Severity(Severity::Medium),
        Role::Good,
        Role::Warn,
        Role::Bad,
        Role::Stale,
        Role::EnvironmentStaging,
        Role::Bar,
        Role::Band,
        Role::Added,
        Role::Removed,
        Role::Quote,
        Role::Heat(4),
        Role::Toast,
    ];

    #[test]
    fn the_loud_style_is_reserved() {
        for name in NAMES {
            let theme = Theme::new(name, false);
            let reversed = |role| theme.style(role).add_modifier.contains(Modifier::REVERSED);
            assert!(
                reversed(Role::Severity(Severity::High))
                    && reversed(Role::Severity(Severity::Critical))
            );
            assert!(ROLES.into_iter().all(|role| !reversed(role)), "{name:?}");
        }
    }

    #[test]
    fn no_text_is_black_or_white_on_the_terminals_own_background() {
        for name in NAMES {
            for role in ROLES {
                let style = Theme::new(name, false).style(role);
                let unreadable = [Color::Black, Color::White, Color::Gray, Color::DarkGray];
                assert!(
                    style.fg.is_none_or(|fg| !unreadable.contains(&fg)),
                    "{name:?} {role:?}"
                );
                assert_eq!(style.bg, None);
            }
        }
    }

    #[test]
    fn settings_are_checked_and_no_color_wins() {
        let colours = BTreeMap::from([("bad".to_owned(), "#ff8700".to_owned())]);
        let theme = Theme::from_settings("default", &colours, false, false).unwrap();
        assert_eq!(theme.style(Role::Bad).fg, Some(Color::Rgb(255, 135, 0)));
        let mono = Theme::from_settings("default", &colours, true, true).unwrap();
        assert!(ROLES.into_iter().all(|role| mono.style(role).fg.is_none()));
        assert!(mono.glyphs.ascii);
        let unknown = |k: &str, v: &str| {
            Theme::from_settings("mono", &BTreeMap::from([(k.into(), v.into())]), false, true)
                .unwrap_err()
        };
        assert_eq!(unknown("bed", "red"), ThemeError::UnknownSlot("bed".into()));
        assert!(matches!(
            unknown("bad", "rouge"),
            ThemeError::BadColour { .. }
        ));
        assert!(ThemeName::parse("solar").is_err());
    }

    #[test]
    fn plain_glyphs_are_plain() {
        let g = Glyphs::ASCII;
        let all = [
            g.cursor,
            g.mark,
            g.alert,
            g.notice,
            g.dot,
            g.ring,
            g.paused,
            g.horizontal,
            g.vertical,
            g.quote,
        ];
        assert!(
            all.iter()
                .chain(&g.corners)
                .chain(&g.sort)
                .all(|s| s.is_ascii() && s.len() == 1)
        );
    }
}
