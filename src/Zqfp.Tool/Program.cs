using System.Text;
using Zqfp.Tool;

// Diagnostics and file names are UTF-8 also where the console's code page is another; the build tasks read them so.
Console.OutputEncoding = new UTF8Encoding(encoderShouldEmitUTF8Identifier: false);
Console.SetOut(new PlainWriter(Console.Out, Style.Output.IsTerminal));
Console.SetError(new PlainWriter(Console.Error, Style.Error.IsTerminal, mayBeLost: true));
return CommandLine.Run(args);
