using System.Globalization;
using System.Text.RegularExpressions;
using Microsoft.Build.Utilities;

namespace Zqfp.Build.Tasks;

/// <summary>An error or warning of the tool: <c>FILE : error ZQFPnnnn: text</c>, optionally <c>FILE(line,column)</c>.</summary>
internal sealed class ToolDiagnostic
{
    private static readonly Regex Form = new(
        @"^(?<file>.*?)(\((?<line>[0-9]{1,9})(,(?<column>[0-9]{1,9}))?\))? ?: (?<kind>error|warning) (?<code>ZQFP[0-9]{4}): (?<text>.*)$",
        RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture,
        TimeSpan.FromSeconds(1));

    private readonly Match _match;

    private ToolDiagnostic(Match match) => _match = match;

    public bool IsError => _match.Groups["kind"].Value == "error";

    public string Code => _match.Groups["code"].Value;

    public string File => _match.Groups["file"].Value;

    public string Text => _match.Groups["text"].Value;

    public int Line => Number("line");

    public int Column => Number("column");

    /// <returns>The diagnostic, or null where the line is none.</returns>
    public static ToolDiagnostic? Parse(string line)
    {
        Match match = Form.Match(line);
        return match.Success ? new ToolDiagnostic(match) : null;
    }

    public void LogTo(TaskLoggingHelper log, HelpLinks links)
    {
        if (IsError)
        {
            log.LogError(subcategory: null, Code, helpKeyword: null, links.Of(Code), File, Line, Column, 0, 0, "{0}", Text);
        }
        else
        {
            log.LogWarning(subcategory: null, Code, helpKeyword: null, links.Of(Code), File, Line, Column, 0, 0, "{0}", Text);
        }
    }

    private int Number(string group) =>
        _match.Groups[group].Success ? int.Parse(_match.Groups[group].Value, CultureInfo.InvariantCulture) : 0;
}
