"""Self-test: known-answer tests of the verifier, on this machine.

It runs before the door serves, and once a day after that. It detects a broken library, a flipped
bit in memory and a changed file on the card. The texts are fixed. Their private keys are published
(edge/wire/README.md, section 7), so these keys are trusted nowhere else.
"""

from typing import NamedTuple

from edge.clock.issuer_floors import IssuerFloors
from edge.clock.time_interval import Interval, Now
from edge.judge.verdict import Genuine, Place, TrustState, Verdict, verify
from edge.wire.trust import IssuerEntry, IssuerKey, Issuers, Trust

AGAIN_S = 86400.0
"""How often a running unit repeats the self-test."""

_AT_S = 1_800_000_120  # Unix seconds: when the texts are judged
_ISSUER = "A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg="
_HERE = Place(frozenset({"campus/north"}), "campus", "north-1")


class SelfTestCase(NamedTuple):
    """A text and the verdict that it must get, as `refused:expired`."""

    name: str
    expected: str
    text: bytes


class SelfTestResult(NamedTuple):
    """The verdict that a case got."""

    case: SelfTestCase
    verdict: str

    @property
    def is_right(self) -> bool:
        """Whether the verdict is the expected one."""
        return self.verdict == self.case.expected


def run_cases() -> tuple[SelfTestResult, ...]:
    """Judge every case with the real verifier. Takes some milliseconds; never raises for a text."""
    key = IssuerKey(_ISSUER, _AT_S - 86400, _AT_S + 86400)
    document = Issuers(1, _AT_S, [IssuerEntry("known", [key], 86400)])
    trust_state = TrustState(Trust(document), signed_s=_AT_S)
    now, floors = Now(Interval(_AT_S, _AT_S, "system"), 0.0), IssuerFloors()
    return tuple(
        SelfTestResult(case, verdict_name(verify(case.text, trust_state, _HERE, now, floors)))
        for case in CASES
    )


def failure_sentence() -> str | None:
    """One sentence if a verdict is wrong; None if all are right."""
    for result in run_cases():
        if not result.is_right:
            return (
                f"the self-test failed: the case {result.case.name!r} must give "
                f"{result.case.expected} and gave {result.verdict}; this door stays shut: "
                f"restart the unit, and if that does not help, write its card again"
            )
    return None


def verdict_name(verdict: Verdict | None) -> str:
    """The name of a verdict as in the test vectors, for example `refused:expired`."""
    if verdict is None:
        return "none"
    if isinstance(verdict, Genuine):
        return f"genuine:{verdict.colour.name.lower()}"
    reason = verdict.reason.name.lower().replace("_", "-")
    return f"{type(verdict).__name__.lower()}:{reason}"


CASES = (
    SelfTestCase(
        "genuine and green",
        "genuine:green",
        b"DC1:RWGSLKOE66+8-09-6LYQCF6B1XK7PDEB8RM8Z3FV*873DFN0FPDFVQWY0FPDUOQ/E7V5010027BMNP+T"
        b"M2036%RAWOM9EXPBLOR-80Z.S1R8R4G7 3G:MFNK-ZI*G25:9O.Q5X3N23/ACWUG2Q0F6IR TG:U-SF 13AS"
        b"N6EF1XK",
    ),
    SelfTestCase(
        "genuine with every claim, after its colour change",
        "genuine:green",
        b"DC1:RWGSLKOE66+8-09-6LYQCK7BLGL7PDEB8RM8Z3FV*873DLJ0GPCQ$D7%E$:504EAWEFN0FPDFVQ1T0FP"
        b"D+OQWY0FPDUOQP81 QE4ECP-C1ECF$D/E7V50200/E7V50Y50/E7V50CE0C60FPD+QQ27BQ4EK-7MW9TEIAG"
        b"V.ELPMPT 3SNCWMB-XG-E3O7F/6C-UGGPP4V0-/V337%XQ3MV9KIUBRCMRVDU51NYD1 *7H4OI73$7WOW8",
    ),
    SelfTestCase(
        "red",
        "genuine:red",
        b"DC1:RWGSLKOE66+8-09-6LYQCF6B1XK7PDEB8RM8Z3FV*873DFN0FPDFVQWY0FPDUOQ/E7V5030027BOL5LZ"
        b"AC873CJIFFD6V54NLCIDN6:1C:ZFTR3+3EOJKPTAY9P 8E TU3KTT9H6LBWVV7DF:KU9+9UE8*6W858:71T1"
        b"QU$2K+1",
    ),
    SelfTestCase(
        "signed by its phone",
        "genuine:green",
        b"DC1:+WGNJK 60+V1CP9 60EO0$+AWKB3UA8CKFP9YD0AB81Y8JC8GCAYH8DNCDF3VI9ICODF3/E9800.FKER"
        b"KI60*Y0F6B:V4MINALU.XAC19L*R9HD:*DLRI7%C+93$0S$586KS7XD2$A/E7V5010027B05O:MJDP7$-U+%"
        b"QEM1*DRWCG/Z6L+PBM0A1TNJ3XHSW7A4MRJOHVKLNM0AB3H-K0ZLJWL*NND37AI2WB5$HQ*493RGQ1NE$67C"
        b"KULK:.DBECY9ECPEB/D5LET7D+86DF3/E9S9FV58NNIO-FBQVZOJK*T:+4MYJ*8N1GQD51GQ0FSPMXGO-6DP"
        b"SQIVKLMAP06%M9/R.%K+IC M0EQU3HAVQGXY4W:3APTX+O324A0",
    ),
    SelfTestCase(
        "a letter removed",
        "refused:malformed",
        b"DC1:RWGSLKOE66+8-09-6LYQCF6B1XK7PDEB8RM8Z3FV*873DFN0FPDFVQWY0FPDUOQ/E7V5010027BMNP+T"
        b"M2036%RAWOM9EXPBLOR-80Z.S1R8R4G7 3G:MFNK-ZI*G25:9O.Q5X3N23/ACWUG2Q0F6IR TG:U-SF 13AS"
        b"N6EF1X",
    ),
    SelfTestCase(
        "bytes appended",
        "refused:malformed",
        b"DC1:RWGSLKOE66+8-09-6LYQCF6B1XK7PDEB8RM8Z3FV*873DFN0FPDFVQWY0FPDUOQ/E7V5010027BMNP+T"
        b"M2036%RAWOM9EXPBLOR-80Z.S1R8R4G7 3G:MFNK-ZI*G25:9O.Q5X3N23/ACWUG2Q0F6IR TG:U-SF 13AS"
        b"N6EF1XK000",
    ),
    SelfTestCase(
        "a claim changed",
        "refused:bad-signature",
        b"DC1:RWGSLKOE66+8-09-6LYQCF6B1XK7PDEB8RM8Z3FV*873DFN0FPDFVQWY0FPDUOQ/E7V5030027BMNP+T"
        b"M2036%RAWOM9EXPBLOR-80Z.S1R8R4G7 3G:MFNK-ZI*G25:9O.Q5X3N23/ACWUG2Q0F6IR TG:U-SF 13AS"
        b"N6EF1XK",
    ),
    SelfTestCase(
        "a signature changed",
        "refused:bad-signature",
        b"DC1:RWGSLKOE66+8-09-6LYQCF6B1XK7PDEB8RM8Z3FV*873DFN0FPDFVQWY0FPDUOQ/E7V5010027BMNP+T"
        b"M2036%RAWOM9EXPBLOR-80Z.S1R8R4G%-3G:MFNK-ZI*G25:9O.Q5X3N23/ACWUG2Q0F6IR TG:U-SF 13AS"
        b"N6EF1XK",
    ),
    SelfTestCase(
        "a signature in a second encoding",
        "refused:bad-signature",
        b"DC1:RWGSLKOE66+8-09-6LYQCF6B1XK7PDEB8RM8Z3FV*873DFN0FPDFVQWY0FPDUOQ/E7V5010027BMNP+T"
        b"M2036%RAWOM9EXPBLOR-80Z.S1R8R4G7 3G:MFNK-ZI6EWRS8FIUL26I8UV2B%MC5ZSF6IR TG:U-SF 13AS"
        b"N6EFHXK",
    ),
    SelfTestCase(
        "another key with the issuer's kid",
        "refused:bad-signature",
        b"DC1:RWGSLKOE66+8-09-6LYQCF6B1XK7PDEB8RM8Z3FV*873DFN0FPDFVQWY0FPDUOQ/E7V5010027B6TIC8"
        b"K0/U9-5F8NZ98+8H$S4MSSUFMGQ6CBTSAI%%GE4F3-LKQVCO7X26 SA5/B F4QTT TF4WPC%S4SM3$F3 3WM"
        b"I2HCCRV",
    ),
    SelfTestCase(
        "an unknown key",
        "unsure:unknown-issuer",
        b"DC1:RWGSLKOE61*8X9VOMDO8WF6B1XK7PDEB8RM8Z3FV*873DFN0FPDFVQWY0FPDUOQ/E7V5010027BCX67K"
        b"VPHMR0RBYGVLH86H43DO+KK.K3/R$L2*P09O9:QTPDFY:RS*N23FXVQDOGV:O:/U7J7UHU7GMXMSDAS/MJOP"
        b"T$CT L9",
    ),
    SelfTestCase(
        "expired",
        "refused:expired",
        b"DC1:RWGSLKOE66+8-09-6LYQCF6B1XK7PDEB8RM8Z3FV*873DFN0FPDFRQWY0FPDFBQ/E7V5010027B9+A-C"
        b"8AKA-155BCM4CP2G4P8P*S%R4$9J7%MP46 713%N/.QA$PSJRN CR8T8XIS9EUUK$HFV0C.%84B52FB+XE*4"
        b"99FUC2F",
    ),
    SelfTestCase(
        "for other doors",
        "refused:not-here",
        b"DC1:RWGSLKOE66+8-09-6LYQCO6BW%K7PDEB8RM8Z3FV*873DGJ0 8DWKE34ESIEDF3:E9KP5DF3/E9D1010"
        b"0000T70T68.$7HDACHE6.LUA0N*63%L7*69MH U7N.EE-B0GAFI5BI8ZH0BQ4KKBH.GURE2OF FHEYNG40UJ"
        b"HWGV VL9-IQQ6B-5PUM70",
    ),
    SelfTestCase(
        "without its phone's signature",
        "refused:proof-missing",
        b"DC1:RWGSLKOE66+8-09-6LYQCD7BW%K7PDEB8RM8Z3FV*873DFN0GPDENFWY0FPDUOQ441E90W50824V94*2"
        b"4CP8X26481D82-MDQRGDXR$*RK*6LGKQCFFHKX/9O 0EILK*J100000T70E88*KN*YAIOQKFLJ8GO1R-J0W "
        b"PEHP03SRPT3XJAD5*MJJ+EU%EZ%OFCOF:UU$M*MFTU8JHQ/84$WU2Z04$J6$P8Q1OKAI%650",
    ),
    SelfTestCase(
        "signed by another phone",
        "refused:bad-proof",
        b"DC1:+WGNJK 60+V1CP9 60EO0$+AWKB3UA8CKFP9YD0AB81Y8JC8GCAYH8DNCDF3VI9ICODF3/E9800.FKER"
        b"KI60*Y0F6B:V4MINALU.XAC19L*R9HD:*DLRI7%C+93$0S$586KS7XD2$A/E7V5010027B05O:MJDP7$-U+%"
        b"QEM1*DRWCG/Z6L+PBM0A1TNJ3XHSW7A4MRJOHVKLNM0AB3H-K0ZLJWL*NND37AI2WB5$HQ*493RGQ1NE$67C"
        b"KULK:.DBECY9ECPEB/D5LET7D+86DF3/E9S9FD98U%L5T3QVD/XVYBAVKNI37LHROM67TL83O2RKPSB-1T:B"
        b"0BC3PZBLEE*A3$7D*+HEFRSA1V2D/CWY/RWH2*.FGBSQ$V  540",
    ),
    SelfTestCase(
        "an old picture of a phone",
        "refused:proof-old",
        b"DC1:+WGNJK 60+V1CP9 60EO0$+AWKB3UA8CKFP9YD0AB81Y8JC8GCAYH8DNCDF3VI9ICODF3/E9800.FKER"
        b"KI60*Y0F6B:V4MINALU.XAC19L*R9HD:*DLRI7%C+93$0S$586KS7XD2$A/E7V5010027B05O:MJDP7$-U+%"
        b"QEM1*DRWCG/Z6L+PBM0A1TNJ3XHSW7A4MRJOHVKLNM0AB3H-K0ZLJWL*NND37AI2WB5$HQ*493RGQ1NE$67C"
        b"KULK:.DBECY9ECPEB/D5LET7D+86DF3/E9/10L58L+CBI0*L7*107H27RM5$3M5WBGL0CL2 ORHR5ER8FH$W"
        b"C%T9D*7RN0MMO23OY/MR$FVRF7XVSDWB20Z19G$ITJJ2JEP*Q60",
    ),
    SelfTestCase(
        "signed for another door",
        "refused:other-door",
        b"DC1:+WGNJK 60+V1CP9 60EO0$+AWKB3UA8CKFP9YD0AB81Y8JC8GCAYH8DNCDF3VI9ICODF3/E9800.FKER"
        b"KI60*Y0F6B:V4MINALU.XAC19L*R9HD:*DLRI7%C+93$0S$586KS7XD2$A/E7V5010027B05O:MJDP7$-U+%"
        b"QEM1*DRWCG/Z6L+PBM0A1TNJ3XHSW7A4MRJOHVKLNM0AB3H-K0ZLJWL*NND37AI2WB5$HQ*493RGQ1NE$67C"
        b"KULK:.DBECY9ECPEB/D5LET7DQE6DF3/E9S9FT48$$CWNR-6F+LK BVP.4/43 9HX 4 67SSL4AB5*P OP1O"
        b"9LFN+IT5VL/EUC94B*3GHJO*N1T8MPQUIFP81DQM91SJDLSGBD0",
    ),
    SelfTestCase(
        "a poster",
        "none",
        b"HTTPS://EXAMPLE.ORG/",
    ),
)
