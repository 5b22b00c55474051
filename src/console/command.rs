//! Every command and its keys, defined once. The parser of the settings' `[keys]`, the dispatch, the footer's
//! hints, the help, the palette and the key table of the documents are all drawn from this table.

use serde::{Deserialize, Serialize};

/// Where the help lists a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Group {
    /// Moving about.
    Move,
    /// Screens and panes.
    Screens,
    /// Finding things.
    Find,
    /// Acting and asking.
    Act,
    /// How things are shown.
    View,
    /// The console itself.
    Console,
}

impl Group {
    /// Every group, in the order of the help.
    pub const ALL: [Self; 6] = [
        Self::Move,
        Self::Screens,
        Self::Find,
        Self::Act,
        Self::View,
        Self::Console,
    ];

    /// Its heading.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Move => "MOVE",
            Self::Screens => "SCREENS AND PANES",
            Self::Find => "FIND AND MARK",
            Self::Act => "ACT AND ASK",
            Self::View => "VIEW",
            Self::Console => "CONSOLE",
        }
    }
}

macro_rules! commands {
    ($($group:ident { $($variant:ident => $id:literal, [$($key:literal),*], $short:literal, $help:literal;)* })*) => {
        /// What a key or a line of the palette means, on every screen the same.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum Command { $($(#[doc = $help] $variant,)*)* }

        impl Command {
            /// Every command, in the order of the help.
            pub const ALL: &'static [Self] = &[$($(Self::$variant,)*)*];

            /// Its name in the settings' `[keys]`.
            pub const fn id(self) -> &'static str {
                match self { $($(Self::$variant => $id,)*)* }
            }

            /// Its keys unless the settings say otherwise, as one writes them there.
            pub const fn default_keys(self) -> &'static [&'static str] {
                match self { $($(Self::$variant => &[$($key),*],)*)* }
            }

            /// The word or two for the footer.
            pub const fn short(self) -> &'static str {
                match self { $($(Self::$variant => $short,)*)* }
            }

            /// What it does, in a line.
            pub const fn help(self) -> &'static str {
                match self { $($(Self::$variant => $help,)*)* }
            }

            /// Where the help lists it.
            pub const fn group(self) -> Group {
                match self { $($(Self::$variant => Group::$group,)*)* }
            }
        }
    };
}

commands! {
    Move {
        Down => "move.down", ["j", "down"], "move", "Down";
        Up => "move.up", ["k", "up"], "move", "Up";
        Left => "move.left", ["h", "left"], "left", "Left: column, pane, pan";
        Right => "move.right", ["l", "right"], "right", "Right: column, pane, pan";
        First => "move.first", ["g g", "home"], "first", "To the first";
        Last => "move.last", ["G", "end"], "last", "To the last";
        HalfPageDown => "move.half-page-down", ["ctrl-d", "pgdn"], "page", "Half a page down";
        HalfPageUp => "move.half-page-up", ["ctrl-u", "pgup"], "page", "Half a page up";
        Open => "move.open", ["enter"], "open", "Open what the cursor is on";
        Back => "move.back", ["esc"], "back", "Back, cancel, clear the filter; never quits";
        NextObject => "move.next-object", ["J"], "next", "The next object, from within a detail";
        PreviousObject => "move.previous-object", ["K"], "previous", "The previous object, from within a detail";
        NextSection => "move.next-section", ["]"], "section", "The next section";
        PreviousSection => "move.previous-section", ["["], "section", "The previous section";
    }
    Screens {
        ShowOverview => "screen.overview", ["1"], "overview", "Overview";
        ShowApprovals => "screen.approvals", ["2"], "approvals", "Approvals";
        ShowCredentials => "screen.credentials", ["3"], "credentials", "Credentials";
        ShowRotation => "screen.rotation", ["4"], "rotation", "Rotation: versions over time, the weeks ahead, compliance";
        ShowRevocations => "screen.revocations", ["6"], "revocations", "Revocations: how far each has come, and the gateways";
        ShowAudit => "screen.audit", ["7"], "audit", "Audit";
        ShowPolicy => "screen.policy", ["8"], "policy", "Policy: what decides, and what is proposed";
        LastScreen => "screen.last", ["-"], "last screen", "The screen before this one";
        NextPane => "pane.next", ["tab"], "pane", "The next pane; in a sheet the next field";
        PreviousPane => "pane.previous", ["shift-tab"], "pane", "The previous pane or field";
        Zoom => "pane.zoom", ["z"], "zoom", "Give the whole screen to the pane, or take it back";
    }
    Find {
        Filter => "find.filter", ["/"], "filter", "Filter, in the language of --filter";
        FindNext => "find.next", ["n"], "next", "The next match";
        FindPrevious => "find.previous", ["N"], "previous", "The previous match";
        Views => "find.views", ["w"], "views", "Saved views";
        Sort => "find.sort", ["s"], "sort", "Sort by the next column";
        SortReverse => "find.sort-reverse", ["S"], "reverse", "Turn the order round";
        Mark => "mark.toggle", ["space"], "mark", "Mark, or take the mark away";
        MarkRange => "mark.range", ["v"], "range", "Mark from the last mark to here";
        MarkClear => "mark.clear", ["U"], "unmark", "Take all marks away";
        Holdings => "find.holdings", [], "operator", "What a person, robot or team holds: operator NAME";
        FindKey => "find.key", [], "find key", "Find a leaked key: paste it, and only its digest is sent";
        Drill => "find.drill", [], "drill", "Go on with a leaked key: contain it, watch it die, write it down";
    }
    Act {
        Acts => "act.menu", ["."], "act", "The act menu: the only door to a change";
        Commit => "act.commit", ["ctrl-y"], "send", "Send what the sheet says, once everything on it is done";
        Explain => "ask.explain", ["e"], "explain", "Why is it so?";
        Diff => "ask.diff", ["d"], "diff", "What changed";
        Raw => "ask.raw", ["i"], "raw", "The record as it came, as JSON";
        Related => "ask.related", ["o"], "related", "What belongs to it";
    }
    View {
        CopyId => "copy.id", ["y"], "copy", "Copy the identifier";
        CopyMenu => "copy.menu", ["Y"], "copy as", "Copy as JSON, command line or link";
        Export => "view.export", ["x"], "export", "Write what is shown to a file";
        Refresh => "view.refresh", ["r"], "refresh", "Ask the broker again";
        Pause => "view.pause", ["p"], "pause", "Stop or go on showing what arrives";
        TimeFormat => "view.time", ["t"], "time", "Times as UTC, local, ago";
        ZoomIn => "view.zoom-in", ["+"], "closer", "A shorter span of time";
        ZoomOut => "view.zoom-out", ["_"], "wider", "A longer span of time";
        ZoomNow => "view.zoom-now", ["0"], "now", "Back to now";
        Watch => "view.watch", ["W"], "watch", "Ring and say so in the title when this changes";
    }
    Console {
        Palette => "console.palette", [":"], "cmd", "Find any command by its words";
        Help => "console.help", ["?", "f1"], "help", "The keys, and what they do";
        Contexts => "console.context", [], "context", "Go on with another broker";
        Login => "console.login", [], "login", "Sign in again with a key of your SSH agent";
        Dump => "console.dump", [], "dump", "Write the recording of this session to a file";
        Quit => "console.quit", ["q"], "quit", "Quit; asks if something is unsent";
        Interrupt => "console.interrupt", ["ctrl-c"], "cancel", "Cancel the call under way; twice quits";
        Redraw => "console.redraw", ["ctrl-l"], "redraw", "Paint everything anew";
        Suspend => "console.suspend", ["ctrl-z"], "suspend", "Suspend; fg brings it back";
    }
}

macro_rules! acts {
    ($($variant:ident => $id:literal, $key:literal, $label:literal;)*) => {
        /// What the act menu can offer, everywhere by the same key.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum ActKind { $(#[doc = $label] $variant,)* }

        impl ActKind {
            /// Every kind, in the menu's order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Its name in the settings' `[keys]`.
            pub const fn id(self) -> &'static str {
                match self { $(Self::$variant => $id,)* }
            }

            /// Its key in the menu unless the settings say otherwise.
            pub const fn default_key(self) -> char {
                match self { $(Self::$variant => $key,)* }
            }

            /// Its name in the menu.
            pub const fn label(self) -> &'static str {
                match self { $(Self::$variant => $label,)* }
            }
        }
    };
}

acts! {
    Approve => "act.approve", 'a', "approve";
    Narrow => "act.narrow", 'n', "narrow";
    Deny => "act.deny", 'd', "deny";
    Ask => "act.ask", 'q', "ask";
    Rotate => "act.rotate", 'r', "rotate";
    Promote => "act.promote", 'p', "promote";
    RollBack => "act.roll-back", 'b', "roll back";
    Revoke => "act.revoke", 'x', "revoke";
    Withdraw => "act.withdraw", 'w', "withdraw";
    Fence => "act.fence", 'f', "fence";
    Retry => "act.retry", 't', "retry";
    KnownGood => "act.known-good", 'k', "known good";
    Verify => "act.verify", 'v', "verify";
    Hold => "act.hold", 'h', "hold";
    BreakGlass => "act.break-glass", 'g', "break glass";
}
