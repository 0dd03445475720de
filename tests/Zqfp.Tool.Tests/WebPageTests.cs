using System.Diagnostics;
using System.Text.RegularExpressions;

namespace Zqfp.Tool.Tests;

/// <summary>The sample's web page, served by the program as it was built, with the model that the build quantized.</summary>
public sealed class WebPageTests : IDisposable
{
    private const string Prompt = "Once upon a time, there was a \"cat\" & a dög";

    private readonly TemporaryFolder _folder = new();
    private Process? _server;

    public void Dispose()
    {
        _server?.Kill(entireProcessTree: true);
        _server?.WaitForExit();
        _server?.Dispose();
        _folder.Dispose();
    }

    [Fact]
    public async Task A_story_comes_in_pieces_and_the_same_seed_gives_the_same_story()
    {
        Uri address = Serve();
        using var client = new HttpClient();
        string[] stories = [await Story(client, address, 7), await Story(client, address, 7), await Story(client, address, 8)];

        Assert.True(stories[0].Length > 100, stories[0]);
        Assert.Equal(stories[0], stories[1]);
        Assert.NotEqual(stories[0], stories[2]);
        using HttpResponseMessage refused = await client.GetAsync(new Uri(address, "story"));
        Assert.Equal(System.Net.HttpStatusCode.BadRequest, refused.StatusCode);
    }

    [BrowserFact]
    public async Task A_browser_shows_the_story_that_the_server_sends()
    {
        Uri address = Serve();
        using var client = new HttpClient();
        string story = await Story(client, address, 7);
        using Process browser = Process.Start(new ProcessStartInfo(BrowserFactAttribute.Browser!,
        [
            "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
            "--disable-component-update", "--disable-sync", $"--user-data-dir={_folder.File("profile")}",
            "--virtual-time-budget=60000", "--dump-dom",
            new Uri(address, $"?seed=7&prompt={Uri.EscapeDataString(Prompt)}").AbsoluteUri,
        ])
        { RedirectStandardOutput = true, RedirectStandardError = true })!;
        Task<string> errors = browser.StandardError.ReadToEndAsync();
        string dom = await browser.StandardOutput.ReadToEndAsync();
        await browser.WaitForExitAsync();

        Assert.True(dom.Contains("<body data-state=\"done\">", StringComparison.Ordinal), dom + await errors);
        string shown = Regex.Match(dom, "(?s)<p id=\"story\"[^>]*>(.*?)</p>").Groups[1].Value;
        Assert.Equal(Prompt + story, System.Net.WebUtility.HtmlDecode(shown));
    }

    private static async Task<string> Story(HttpClient client, Uri address, int seed)
    {
        var request = new Uri(address, $"story?seed={seed}&prompt={Uri.EscapeDataString(Prompt)}");
        using HttpResponseMessage response = await client.GetAsync(request, HttpCompletionOption.ResponseHeadersRead);
        Assert.Equal("text/event-stream", response.Content.Headers.ContentType!.MediaType);
        string events = await response.Content.ReadAsStringAsync();
        Assert.EndsWith("event: done\ndata: \n\n", events, StringComparison.Ordinal);
        string[] pieces = [.. events.Split("\n\n")[..^2]
            .Select(piece => piece.Replace("\ndata: ", "\n", StringComparison.Ordinal)["data: ".Length..])];
        Assert.True(pieces.Length > 20, events);
        return string.Concat(pieces);
    }

    private Uri Serve()
    {
        string program = Repository.Path($"artifacts/bin/WebPage/{Configuration}/WebPage.dll");
        string model = Path.Combine(Path.GetDirectoryName(program)!, "model/model.onnx");
        Assert.SkipUnless(File.Exists(program) && File.Exists(model), "Needs what dotnet build samples/WebPage makes.");
        _server = Process.Start(new ProcessStartInfo("dotnet", [program, "--urls", "http://127.0.0.1:0"])
        {
            WorkingDirectory = _folder.Path,
            RedirectStandardOutput = true,
        })!;
        while (_server.StandardOutput.ReadLine() is { } line)
        {
            if (Regex.Match(line, "Now listening on: (?<address>http://.*)") is { Success: true } match)
            {
                return new Uri(match.Groups["address"].Value.Trim());
            }
        }

        throw new InvalidOperationException("The server ended before it listened.");
    }

    private static string Configuration { get; } = Path.GetFileName(Path.TrimEndingDirectorySeparator(AppContext.BaseDirectory));
}
