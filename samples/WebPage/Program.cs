// A web page that shows a story while the quantized model writes it:
//   dotnet run --project samples/WebPage -c Release
// and open the address that it prints.
using System.Net.ServerSentEvents;
using WebPage;

WebApplicationBuilder builder = WebApplication.CreateBuilder(args);
builder.Services.AddSingleton<StoryModel>();
WebApplication app = builder.Build();

string page = Path.Combine(AppContext.BaseDirectory, "index.html");
app.MapGet("/", () => TypedResults.PhysicalFile(page, "text/html; charset=utf-8"));

// One event for each piece of text; the last one is "done", so that the browser does not connect again.
app.MapGet("/story", (StoryModel model, string? prompt, int? seed, CancellationToken cancellation) =>
    prompt is { Length: > 0 and <= 500 }
        ? TypedResults.ServerSentEvents(Events(model, prompt, seed ?? Random.Shared.Next(), cancellation))
        : (IResult)TypedResults.BadRequest("A prompt has 1 to 500 characters."));
app.Run();

static async IAsyncEnumerable<SseItem<string>> Events(
    StoryModel model, string prompt, int seed, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellation)
{
    await foreach (string text in model.Continue(prompt, seed, cancellation))
    {
        yield return new SseItem<string>(text);
    }

    yield return new SseItem<string>("", "done");
}
