"""How a page looks: one column, light or dark as the reader's system is, tables that become cards on a phone."""

PALETTE = """
:root{color-scheme:light dark;--back:#fbfbfa;--card:#fff;--text:#1d2125;--soft:#5b636b;--line:#d9dde1;
--remapped:#2f6fb5;--posted:#b5541f;--bug:#b3261e;--warning:#8a5a00;--info:#2f6fb5;--good:#1c7a3f;--cell:#e9ecef;
--wakeup:#8e5bb5;--suppressed:#9aa3ab;--notify:#2f8f6f}
@media screen and (prefers-color-scheme:dark){:root{--back:#15181b;--card:#1d2226;--text:#e6e8ea;--soft:#9fa8b0;
--line:#353c43;--remapped:#6aa9ee;--posted:#f0935a;--bug:#ff8a80;--warning:#f2c14e;--info:#6aa9ee;--good:#67c98b;--cell:#2b3238;
--wakeup:#bd93e0;--suppressed:#69727a;--notify:#5cc3a0}}
"""

PAGE = """
*{box-sizing:border-box}
body{margin:0;background:var(--back);color:var(--text);font:16px/1.5 system-ui,sans-serif}
main{max-width:76rem;margin:0 auto;padding:1rem}
h1{font-size:1.5rem;line-height:1.25;margin:.5rem 0}h2{font-size:1.15rem;margin:2rem 0 .6rem}
h3{font-size:1rem;margin:1.2rem 0 .4rem}
p{margin:.4rem 0}.soft{color:var(--soft);font-size:.875rem}
code,.mono,td,dd,li.link,svg text{font-family:ui-monospace,"DejaVu Sans Mono",Consolas,monospace}
.verdict{font-weight:600;border-left:.3rem solid;padding:.3rem .75rem;margin:.75rem 0;background:var(--card)}
.bug{border-color:var(--bug)}.warning{border-color:var(--warning)}.info{border-color:var(--info)}
.ok{border-color:var(--good)}
.bug .word{color:var(--bug)}.warning .word{color:var(--warning)}.info .word{color:var(--info)}
.ok .word{color:var(--good)}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.2rem 1rem;margin:0}
dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere;font-size:.9rem}
.finding{background:var(--card);border:1px solid var(--line);border-left:.3rem solid;border-radius:.3rem;
padding:.6rem .9rem;margin:.6rem 0}
.finding.bug{border-left-color:var(--bug)}.finding.warning{border-left-color:var(--warning)}
.finding.info{border-left-color:var(--info)}
summary{cursor:pointer;color:var(--soft);padding:.4rem 0}.explanation{white-space:pre-line;font-size:.9rem}
a{color:inherit;white-space:nowrap;text-underline-offset:.15em}a.bug{color:var(--bug)}a.warning{color:var(--warning)}
a.info{color:var(--info)}
:focus-visible{outline:.15rem solid var(--info);outline-offset:.1rem}
:target{background:var(--cell);outline:.15rem solid var(--info);scroll-margin-top:3rem}
.scroll{overflow-x:auto;background:var(--card);border:1px solid var(--line);border-radius:.3rem}
table{border-collapse:collapse;width:100%;font-size:.82rem}
th{text-align:left;color:var(--soft);font-weight:600;white-space:nowrap}
th,td{padding:.3rem .6rem;border-bottom:1px solid var(--line);vertical-align:top}
tr:last-child td{border-bottom:0}td:not(.wide){white-space:nowrap}td.numeric,th.numeric{text-align:right}
ol.chain{list-style:none;display:flex;flex-wrap:wrap;align-items:center;gap:.3rem;padding:0;margin:.3rem 0}
ol.chain li{display:flex;align-items:center;gap:.3rem}
.link{border:1px solid var(--line);border-radius:.3rem;background:var(--card);padding:.1rem .5rem;font-size:.85rem}
.link.head{border-style:dashed;color:var(--soft)}.link.marked{border-color:var(--posted);border-width:2px}
.arrow{color:var(--soft)}
svg{display:block;max-width:100%;height:auto}.timeline{padding:.5rem}.timeline svg{min-width:44rem;width:100%}
.key{display:inline-flex;align-items:center;gap:.35rem;margin-right:1rem;font-size:.85rem;color:var(--soft)}
.key svg{width:1em;height:1em}.map{border:0;background:none}.map svg{max-width:none}
@media screen and (max-width:46rem){
table.cards thead{display:none}table.cards,table.cards tbody{display:block}
table.cards tr{display:grid;grid-template-columns:1fr 1fr;border-bottom:1px solid var(--line);padding:.5rem .6rem}
table.cards tr:last-child{border-bottom:0}
table.cards td,table.cards td:not(.wide){white-space:normal;border:0;padding:.1rem 0;overflow-wrap:anywhere}
table.cards td.numeric{text-align:left}
table.cards td::before{content:attr(data-label) " ";color:var(--soft);font:.7rem system-ui,sans-serif;
text-transform:lowercase;margin-right:.3rem}
table.cards td:first-child{grid-column:1/-1;font-weight:700;font-size:.95rem}
table.cards td:first-child::before{display:none}
table.cards td.wide{grid-column:1/-1;white-space:normal}table.cards td.none{display:none}
dl{grid-template-columns:1fr}dt{margin-top:.4rem}}
@page{margin:12mm}
@media print{
:root{color-scheme:light;--back:#fff}main{max-width:none;padding:0}.scroll{overflow:visible;border:0}
details::details-content{display:block;content-visibility:visible;block-size:auto}
table{font-size:7pt}td,td:not(.wide){white-space:normal}th,td{padding:.15rem .3rem}
.timeline svg{min-width:0}.map svg{max-width:100%}
@supports not selector(::details-content){details:not([open])>summary::after{content:" (open this before printing)"}}
h2,h3,summary,thead{break-after:avoid}tr,.verdict,ol.chain li{break-inside:avoid}
*{print-color-adjust:exact}:target{background:none;outline:0}}
"""

DRAWING = """
.free{fill:var(--cell)}.remapped{fill:var(--remapped)}.posted{fill:var(--posted)}.hole{fill:var(--card)}
.axis{fill:var(--soft);font-size:10px}.lane{stroke:var(--line)}.name{fill:var(--text);font-size:11px}
.wakeup{fill:var(--wakeup)}.suppressed{fill:var(--suppressed)}.notify{fill:var(--notify)}.other{fill:var(--cell)}
.mark{stroke:var(--text);stroke-width:1.2;fill:none}.box{fill:var(--card);stroke:var(--line)}
.alarm{fill:var(--bug)}
.caution{fill:var(--warning)}.edge{stroke:var(--soft);fill:none}.paper{fill:var(--back)}
.marked{stroke:var(--posted);stroke-width:2}
"""
