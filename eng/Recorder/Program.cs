using Recorder;

// gate FILE.svg          records a failing and a passing gate of a project made by docs/getting-started.md
// check FILE.md          runs the sessions of a page ("$ command" and what it printed) and fails where the page says otherwise
// update FILE.md         the same, and puts what was printed into the page
using var workshop = new Workshop();
return args switch
{
    ["gate", var file] => GateRecording.Make(workshop, file),
    ["check", var page] => Sessions.Check(workshop, page, update: false),
    ["update", var page] => Sessions.Check(workshop, page, update: true),
    _ => Usage(),
};

static int Usage()
{
    Console.Error.WriteLine("dotnet run --project eng/Recorder -c Release -- gate FILE.svg | check FILE.md | update FILE.md");
    return 2;
}
