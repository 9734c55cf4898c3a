//! What the domain refuses, as one closed list with stable codes.

use crate::text::TextError;

/// A closed list of refusals: each with its stable code, and the sentence that people read.
macro_rules! refusals {
    (
        $(#[$meta:meta])*
        $name:ident $(beside $inner:ident($other:ident))? {
            $($variant:ident = $code:literal, $sentence:literal;)*
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
        pub enum $name {
            $(
                #[doc = concat!("One of [`", stringify!($other), "`].")]
                #[error(transparent)]
                $inner(#[from] $other),
            )?
            $(
                #[doc = $sentence]
                #[error($sentence)]
                $variant,
            )*
        }

        impl $name {
            /// Every one.
            pub fn all() -> impl Iterator<Item = Self> {
                let all = [$(Self::$variant),*].into_iter();
                $(let all = $other::all().map(Self::$inner).chain(all);)?
                all
            }

            /// The stable code.
            #[must_use]
            pub const fn code(&self) -> &'static str {
                match self {
                    $(Self::$inner(inner) => inner.code(),)?
                    $(Self::$variant => $code,)*
                }
            }
        }
    };
}
pub(crate) use refusals;

refusals! {
    /// Why a wish is not granted. The code is stable; the sentence is for people.
    Refusal beside Text(TextError) {
        RankOutOfRange = "rank_out_of_range", "a rank is a number from 1 to 999";
        RankTaken = "rank_taken", "another role of this organization has that rank";
        AboveOwnRank = "above_own_rank", "nobody gives, takes or changes what stands above their own rank";
        RoleIsExplicitOnly = "role_is_explicit_only",
            "the role is explicit only: a person gives it by a grant, no mapping or default can";
        PermissionIsExplicitOnly = "permission_is_explicit_only",
            "permissions over roles and the organization exist in explicit-only roles only";
        BuiltIn = "built_in", "it is built in: it is neither changed nor deleted";
        SeenByOthers = "seen_by_others",
            "this key was issued by one that others had seen, or that came by a connection which no owner has confirmed, \
             so it issues nothing: ask with a key of your own";
        MemberInactive = "member_inactive", "the membership is not active";
        AgentOrphaned = "agent_state", "the agent is orphaned: its owner left";
        AgentDisabled = "agent_state", "the agent is disabled, which is for good: make another";
        TooManyKeys = "too_many_keys",
            "it has as many of them as may act at a time (1,000 keys of a member, 100 of an agent, 10,000 tokens of a \
             directory, 10,000 service keys of an organization): end one first";
        TooManyAgents = "too_many_agents", "the member owns as many agents as one may, 1,000: end one first, or give it away";
        OtherEnvironment = "other_environment", "the membership does not have this environment";
        OutsideEnvironment = "outside_environment",
            "the token is for one environment beside `production` and worth nothing outside of it: ask with one for \
             `production`";
        MappingGivesNothing = "mapping_gives_nothing", "a mapping gives a role, a team or an environment";
        NoOrgUnits = "no_org_units",
            "this kind of directory has no organizational units: map a group or a value of an attribute";
        InvalidBrake = "invalid_brake",
            "a brake has `max_people` (0–10,000,000), `max_percent` (0–100) or both; null switches it off";
        JitUnderDirectory = "jit_under_directory",
            "a connection with a governing directory makes no accounts at sign-in";
        LastOwner = "last_owner", "the organization's last owner stays: make somebody else owner first";
        Tombstoned = "tombstoned", "the person left; only their directory or an administrator brings them back";
        NoRoleMapped = "no_role_mapped", "no mapping or default gives this person a role";
    }
}
