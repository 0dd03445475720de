namespace Zqfp.Reporting;

/// <summary>The page's style: light and dark, wide and narrow, on paper.</summary>
internal static class HtmlStyle
{
    public const string Css = """
        :root { color-scheme: light dark; --ink: #1b2330; --soft: #5d6878; --line: #dde3ea; --paper: #ffffff; --card: #f4f6f9; --blue: #2563b0; --heat: #6d9ad6; --teal: #2a8f8a; --amber: #c47a0f; --grey: #b4bfcc; --green: #1d7d46; --red: #b3261e; }
        @media (prefers-color-scheme: dark) { :root { --ink: #e6eaf0; --soft: #9aa6b6; --line: #303947; --paper: #141920; --card: #1d242e; --blue: #6aa8ee; --heat: #2f6db5; --teal: #5fc2b8; --amber: #e9a84a; --grey: #5b6879; --green: #58c489; --red: #f2847c; } }
        * { box-sizing: border-box; }
        body { font: 15px/1.5 system-ui, "Segoe UI", sans-serif; color: var(--ink); background: var(--paper); max-width: 64rem; margin: 2rem auto 4rem; padding: 0 1rem; }
        h1 { font-size: 1.7rem; line-height: 1.2; margin: 0; overflow-wrap: anywhere; } h2 { font-size: 1.2rem; margin: 2.6rem 0 .4rem; } p { margin: .3rem 0 .7rem; max-width: 48rem; } .soft { color: var(--soft); }
        .verdict { display: inline-block; border: 1px solid currentColor; border-radius: 1rem; padding: .1rem .8rem; margin: .6rem 0 0; font-weight: 600; } .passed { color: var(--green); } .failed { color: var(--red); }
        .cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 17rem), 1fr)); gap: .8rem; margin-top: 1.2rem; }
        .card { background: var(--card); border-radius: .6rem; padding: .9rem 1.1rem; } .card b { display: block; font-size: 1.45rem; line-height: 1.3; font-variant-numeric: tabular-nums; } .card span { color: var(--soft); font-size: .88rem; }
        .wide { overflow-x: auto; } table { border-collapse: collapse; width: 100%; font-size: .88rem; } th { text-align: left; color: var(--soft); font-weight: 500; vertical-align: bottom; }
        th, td { padding: .28rem .9rem .28rem 0; border-bottom: 1px solid var(--line); } th:last-child, td:last-child { padding-right: 0; } .n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; } .name { min-width: 11rem; overflow-wrap: anywhere; }
        summary { cursor: pointer; color: var(--soft); margin: .8rem 0 .3rem; }
        .bar { background: var(--line); border-radius: 3px; height: .7rem; min-width: 6rem; } .bar i { display: block; height: 100%; border-radius: 3px; background: var(--blue); }
        .stack { display: flex; height: 1.7rem; border-radius: 5px; overflow: hidden; margin: .15rem 0 .7rem; } .stack i { display: block; } .key { display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; font-size: .88rem; } .key i { display: inline-block; width: .8rem; height: .8rem; border-radius: 2px; margin-right: .4rem; vertical-align: -1px; }
        .blue { background: var(--blue); } .teal { background: var(--teal); } .amber { background: var(--amber); } .grey { background: var(--grey); } .green { background: var(--green); }
        .grid { width: auto; } .grid td { border: 2px solid var(--paper); border-radius: 6px; padding: .35rem .7rem; text-align: center; min-width: 4.2rem; font-variant-numeric: tabular-nums; } .grid th { border: 0; padding: .3rem .7rem; }
        .grid th + th { text-align: center; }
        .strip { position: relative; height: 1.1rem; min-width: 13rem; margin: 0 1rem; } .strip i { position: absolute; top: .3rem; height: .5rem; } .strip .line { left: 0; right: 0; top: .53rem; height: 1px; background: var(--line); } .strip .band { background: var(--blue); opacity: .45; border-radius: 2px; }
        .strip .middle { width: 3px; margin-left: -1px; top: .15rem; height: .8rem; background: var(--blue); } .strip .rms { width: 2px; margin-left: -1px; top: .15rem; height: .8rem; background: var(--soft); } .strip .top { width: .56rem; height: .56rem; margin-left: -.28rem; top: .26rem; border-radius: 50%; background: var(--amber); }
        .strip span { position: absolute; transform: translateX(-50%); } .hot { color: var(--amber); font-weight: 600; }
        svg { display: block; width: 100%; min-width: 34rem; height: auto; } svg text { fill: var(--soft); font-size: 11px; } svg .dot { fill: var(--blue); fill-opacity: .6; } svg .worst { fill: var(--amber); } svg .axis { stroke: var(--line); } svg .mean { stroke: var(--blue); stroke-dasharray: 4 3; } svg .limit { stroke: var(--red); stroke-width: 2; } svg .interval { stroke: var(--blue); stroke-width: 7; stroke-opacity: .4; stroke-linecap: round; } svg .point { fill: var(--blue); } svg .strong { fill: var(--ink); font-weight: 600; }
        @media print { body { margin: 0; } h2 { break-after: avoid; } tr, svg, .card { break-inside: avoid; } }
        """;
}
